"""What Linux and Android say about themselves, read by pure functions.

Every function takes captured text and gives None where the layout is not the one it knows: a wrong zero
would pass a thermal gate, an unknown does not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PROPERTY = re.compile(r"^\[(?P<key>[^\]]+)\]: \[(?P<value>.*)\]$")
_DF_ROW = re.compile(r"(\d+)\s+(\d+)\s+(\d+)\s+(\d+%|-)\s+(\S.*)$")
_TEMPERATURE = re.compile(
    r"Temperature\{mValue=(?P<value>-?[\d.]+(?:E-?\d+)?), mType=(?P<type>-?\d+), mName=(?P<name>[^,}]*)"
)
# android.os.Temperature.TYPE_CPU
_TYPE_CPU = "0"
# Outside this range a value is a sensor that is off or in another unit.
_PLAUSIBLE_CELSIUS = (-40.0, 150.0)


def parse_getprop(text: str) -> dict[str, str]:
    """Read ``getprop`` without arguments: ``[key]: [value]`` lines. Empty values are left out."""
    matches = (_PROPERTY.match(line.rstrip("\r")) for line in text.splitlines())
    return {m["key"]: m["value"] for m in matches if m and m["value"]}


def parse_df_free_bytes(text: str) -> int | None:
    """Read the free bytes from ``df -k PATH`` (toybox, busybox, coreutils; long device names wrap)."""
    header, _, body = text.strip().partition("\n")
    # Old toolbox prints "25.9G" under "Size"; and a block size that is not 1 KiB would be a wrong figure.
    if not re.search(r"\b(1K|1024)-blocks\b", header):
        return None
    row = _DF_ROW.search(" ".join(body.split()))
    return int(row[3]) * 1024 if row else None


def parse_meminfo_bytes(text: str, field: str) -> int | None:
    """Read one field of ``/proc/meminfo``, e.g. ``MemTotal`` or ``MemAvailable``, in bytes."""
    match = re.search(rf"^{re.escape(field)}:\s+(\d+) kB\s*$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


@dataclass(frozen=True)
class CpuTimes:
    """Total and idle clock ticks since boot, all CPUs together."""

    total: int
    idle: int


def parse_cpu_times(text: str) -> CpuTimes | None:
    """Read the first line of ``/proc/stat``."""
    match = re.search(r"^cpu ((?:\s*\d+){4,10})\s*$", text, re.MULTILINE)
    if not match:
        return None
    # user nice system idle iowait irq softirq steal; guest time is already inside user.
    ticks = [int(word) for word in match[1].split()][:8]
    return CpuTimes(total=sum(ticks), idle=ticks[3] + (ticks[4] if len(ticks) > 4 else 0))


def cpu_busy(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """Fraction 0..1 of CPU time spent working between two readings."""
    if before is None or after is None or after.total <= before.total:
        return None
    idle = max(after.idle - before.idle, 0) / (after.total - before.total)
    return min(max(1.0 - idle, 0.0), 1.0)


def parse_frequencies_khz(text: str) -> tuple[int, ...] | None:
    """Read one ``scaling_cur_freq`` per line."""
    lines = text.split()
    return tuple(int(line) for line in lines) if lines and all(line.isdigit() for line in lines) else None


@dataclass(frozen=True)
class Battery:
    """Charge and power; None where ``dumpsys battery`` does not say."""

    percent: int | None
    charging: bool | None


def parse_battery(text: str) -> Battery:
    """Read ``dumpsys battery``; ``charging`` is whether external power is attached."""
    fields = dict(re.findall(r"^\s{2}([A-Za-z ]+): (\S+)\s*$", text, re.MULTILINE))
    powered = [
        value for key, value in fields.items() if key.endswith("powered") and value in ("true", "false")
    ]
    level, scale = fields.get("level", ""), fields.get("scale", "")
    known = level.isdigit() and scale.isdigit() and int(scale) > 0 and fields.get("present") != "false"
    return Battery(
        percent=round(100 * int(level) / int(scale)) if known else None,
        charging="true" in powered if powered else None,
    )


@dataclass(frozen=True)
class Thermal:
    """Android's thermal status 0 (none) .. 6 (shutdown), and the hottest CPU sensor."""

    status: int | None
    hottest_cpu_celsius: float | None


def parse_thermalservice(text: str) -> Thermal:
    """Read ``dumpsys thermalservice`` (Android 10 and later).

    The values "from HAL" are read; the cached ones are what listeners last heard and may be hours old,
    so they count only where the HAL section is missing.
    """
    status = re.search(r"^\s*Thermal Status: ([0-6])\s*$", text, re.MULTILINE)
    current = _section(text, "Current temperatures from HAL:")
    if current is None:
        current = _section(text, "Cached temperatures:")
    values = (float(m["value"]) for m in _TEMPERATURE.finditer(current or "") if m["type"] == _TYPE_CPU)
    return Thermal(int(status[1]) if status else None, hottest(values))


def parse_thermal_zones(text: str) -> float | None:
    """Read the hottest CPU zone from ``TYPE VALUE`` lines of /sys/class/thermal, values in milli-degrees."""
    celsius = []
    for line in text.splitlines():
        name, _, value = line.strip().rpartition(" ")
        if re.search(r"cpu|x86_pkg_temp|coretemp|cluster|big|little", name, re.IGNORECASE):
            if re.fullmatch(r"-?\d{4,6}", value):
                celsius.append(int(value) / 1000)
    return hottest(celsius)


def hottest(celsius: Iterable[float]) -> float | None:
    """Return the highest plausible temperature; an idle sensor's 0 or -274 is not one."""
    low, high = _PLAUSIBLE_CELSIUS
    return max((value for value in celsius if low < value < high and value != 0), default=None)


def _section(text: str, title: str) -> str | None:
    """Return the indented lines under a title, or None when the title is missing."""
    match = re.search(rf"^(\s*){re.escape(title)}\n((?:\1\s+\S.*(?:\n|$))*)", text, re.MULTILINE)
    return match[2] if match else None
