"""The conditions that a virtual phone reports, which can be set while it runs.

They are kept in a file of the phone and rendered into what a real phone's shell would read: dumpsys
services, thermal zones, power supply, cpufreq, /proc/meminfo and /proc/stat. Every rendered file is replaced
whole, so that a reader sees the old value or the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from toolkit.devices.virtual.hardware import cpu_files, cpuinfo_text, meminfo_text
from toolkit.devices.virtual.services import activity_text, battery_text, power_text, thermal_text
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import UsageError
from toolkit.files import write_whole
from toolkit.locks import exclusive

# Where the dumpsys script reads.
STATE_FOLDER = "vendor/state"
CONDITIONS_FILE = f"{STATE_FOLDER}/conditions.json"
# Mounted over the files of the same names in /proc.
PROC_FOLDER = "vendor/proc"


def _healthy_zones() -> dict[str, float | None]:
    return {"cpu-0-0": 31.0, "cpu-1-0": 32.5, "gpu": 30.0, "battery": 27.0, "skin": 28.0}


def _numbers(value: Any) -> Any:
    return [word for word in value.split(",") if word] if isinstance(value, str) else value or ()


class Conditions(BaseModel):
    """What a virtual phone reports; None makes that one thing unreadable.

    Attributes:
        thermal_status: Android's 0 (none) .. 6 (shutdown).
        zones: thermal zone -> Celsius, in /sys/class/thermal and in ``dumpsys thermalservice``.
        battery_percent: charge level.
        charging: whether external power is attached.
        plug: what charges it when it does: ac, usb, wireless or dock.
        current_ua: the battery's ``current_now`` as it is; makers differ in sign and unit.
        voltage_uv: the battery's ``voltage_now`` as it is.
        screen_on: ``dumpsys power``'s display state.
        lock: what a dark screen comes back with: nothing (``none``), a lock that goes when it is asked to
            (``swipe``), or one with a secret (``pin``), which nobody has typed while that is set.
        available_ram_bytes: MemAvailable.
        cpu_busy: fraction 0..1 that /proc/stat shows.
        frequency_fraction: each core's current frequency as a part of its highest.
        cap_fraction: the frequency that each core may take at most, as a part of its highest.
        offline_cpus: numbers of the cores that are off line; in a text, separated by commas.
        governor: cpufreq's scaling governor.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    thermal_status: int = Field(0, ge=0, le=6)
    zones: dict[str, float | None] = Field(default_factory=_healthy_zones)
    battery_percent: int = Field(80, ge=0, le=100)
    charging: bool = False
    plug: Literal["ac", "usb", "wireless", "dock"] = "usb"
    current_ua: int | None = -310_000
    voltage_uv: int | None = 3_987_000
    screen_on: bool = False
    lock: Literal["none", "swipe", "pin"] = "swipe"
    available_ram_bytes: int = Field(5 << 30, ge=0)
    cpu_busy: float = Field(0.03, ge=0, le=1)
    frequency_fraction: float = Field(1.0, ge=0, le=1)
    cap_fraction: float = Field(1.0, ge=0, le=1)
    offline_cpus: Annotated[tuple[int, ...], BeforeValidator(_numbers)] = ()
    governor: str = "schedutil"


class PhoneFiles(Protocol):
    """What is needed of a virtual phone: its folder, and the root of its file system."""

    @property
    def folder(self) -> str:
        """Where its spec is."""

    @property
    def root(self) -> Path:
        """The phone's file system."""


def set_conditions(phone: PhoneFiles, **changes: Any) -> Conditions:
    """Change what a phone reports, also while it runs; returns all of its conditions.

    Args:
        phone: a virtual phone, running or not; it keeps its conditions when it starts again.
        changes: fields of :class:`Conditions`. ``zones`` changes the zones that it names; the others stay.

    Raises:
        UsageError: no such condition, or a value that no phone has.
    """
    with exclusive(phone.root / STATE_FOLDER / "lock"):
        conditions = _changed(_read(phone.root), changes)
        _write(phone.root, PhoneSpec.read(Path(phone.folder) / "spec.json"), conditions)
    return conditions


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Read ``NAME=VALUE`` words into what :func:`set_conditions` takes; a zone is ``zones.NAME``.

    Raises:
        UsageError: a word without "=".
    """
    changes: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise UsageError(f"{assignment!r} is no NAME=VALUE.", next_step="For example battery_percent=12")
        value = None if text == "none" else text
        if name.startswith("zones."):
            changes.setdefault("zones", {})[name.removeprefix("zones.")] = value
        else:
            changes[name] = value
    return changes


def conditions_of(phone: PhoneFiles) -> Conditions:
    """What a phone reports now."""
    return _read(phone.root)


def render_conditions(root: Path, spec: PhoneSpec) -> None:
    """Lay out the files of a phone that is about to start, with the conditions it had before, if any."""
    (root / STATE_FOLDER).mkdir(parents=True, exist_ok=True)
    proc = root / PROC_FOLDER
    proc.mkdir(parents=True, exist_ok=True)
    (proc / "stat").touch()
    if spec.abi == "arm64-v8a":
        (proc / "cpuinfo").write_text(cpuinfo_text(spec.clusters, spec.cpu_features), encoding="utf-8")
    _write(root, spec, _read(root))


def set_service(root: Path, service: str, text: str) -> None:
    """Change what ``dumpsys SERVICE`` prints, in any layout, until the conditions are set the next time."""
    _replace(root / STATE_FOLDER / f"{service}.txt", text)


def _changed(conditions: Conditions, changes: dict[str, Any]) -> Conditions:
    if "zones" in changes:
        changes = {**changes, "zones": {**conditions.zones, **changes["zones"]}}
    try:
        return Conditions.model_validate({**conditions.model_dump(), **changes})
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}" for detail in error.errors()
        )
        raise UsageError(
            f"No phone reports this: {wrong}.",
            next_step=f"Conditions are {', '.join(sorted(Conditions.model_fields))}.",
        ) from None


def _read(root: Path) -> Conditions:
    path = root / CONDITIONS_FILE
    return Conditions.model_validate_json(path.read_bytes()) if path.is_file() else Conditions()


def _write(root: Path, spec: PhoneSpec, conditions: Conditions) -> None:
    _replace(root / CONDITIONS_FILE, conditions.model_dump_json(indent=2))
    battery_celsius = conditions.zones.get("battery")
    battery = battery_text(
        percent=conditions.battery_percent,
        charging=conditions.charging,
        plug=conditions.plug,
        celsius=27.0 if battery_celsius is None else battery_celsius,
        voltage_mv=(conditions.voltage_uv or 0) // 1000,
    )
    set_service(root, "battery", battery)
    thermal = thermal_text(status=conditions.thermal_status, zones=conditions.zones)
    set_service(root, "thermalservice", thermal)
    set_service(root, "power", power_text(screen_on=conditions.screen_on))
    locked = conditions.lock == "pin" or (conditions.lock == "swipe" and not conditions.screen_on)
    set_service(root, "activity", activity_text(locked=locked))
    cpu = cpu_files(
        spec.clusters,
        governor=conditions.governor,
        frequency_fraction=conditions.frequency_fraction,
        cap_fraction=conditions.cap_fraction,
        offline=conditions.offline_cpus,
    )
    for path, text in {**cpu, **_thermal_zones(conditions), **_power_supply(conditions)}.items():
        _replace(root / "sys" / path, text)
    # In place: a mount over /proc/meminfo would keep showing a file that was replaced.
    meminfo = root / PROC_FOLDER / "meminfo"
    with meminfo.open("r+" if meminfo.exists() else "w", encoding="utf-8") as file:
        file.write(meminfo_text(spec.ram_bytes, conditions.available_ram_bytes))


def _thermal_zones(conditions: Conditions) -> dict[str, str | None]:
    files: dict[str, str | None] = {}
    for number, (name, celsius) in enumerate(conditions.zones.items()):
        zone = f"class/thermal/thermal_zone{number}"
        files[f"{zone}/type"] = f"{name}\n"
        files[f"{zone}/temp"] = None if celsius is None else f"{round(celsius * 1000)}\n"
    return files


def _power_supply(conditions: Conditions) -> dict[str, str | None]:
    battery, usb = "class/power_supply/battery", "class/power_supply/usb"
    celsius = conditions.zones.get("battery")
    values = {
        f"{battery}/type": "Battery",
        f"{battery}/present": 1,
        f"{battery}/status": "Charging" if conditions.charging else "Discharging",
        f"{battery}/capacity": conditions.battery_percent,
        f"{battery}/current_now": conditions.current_ua,
        f"{battery}/voltage_now": conditions.voltage_uv,
        f"{battery}/temp": None if celsius is None else round(celsius * 10),
        f"{usb}/type": "USB",
        f"{usb}/online": int(conditions.charging and conditions.plug == "usb"),
    }
    return {path: None if value is None else f"{value}\n" for path, value in values.items()}


def _replace(target: Path, text: str | None) -> None:
    """Replace a file as one step; None removes it."""
    if text is None:
        target.unlink(missing_ok=True)
        return
    if target.is_file() and target.read_text(encoding="utf-8") == text:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    write_whole(target, text)
