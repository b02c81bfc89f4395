"""The gate: a repetition starts only when the device is cool, idle and charged enough.

The runner loads the model once and then asks before every repetition, because only the host can read
Android's services: it prints a ``gate`` record and waits for the file ``open-<repetition>`` in its run's
folder. The host takes readings, judges them, and makes that file, which holds the readings. None of this is
within a timed region.
"""

from __future__ import annotations

import json
import operator
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from pydantic import Field, TypeAdapter

from toolkit.artifact import Frozen
from toolkit.devices.base import Device, DeviceKind, Readings
from toolkit.errors import DeviceError, GateTimeout, UsageError
from toolkit.profiling import remote

GateName = Literal["off", "default", "strict"]

# How long the CPU's load is watched. A phone needs some hundred clock ticks for a fraction worth the name.
_CPU_WINDOW_S = 0.3
# This machine's load is not gated by default, and a repetition here must not wait for a reading.
_LOCAL_CPU_WINDOW_S = 0.05
# Between two looks at a device that is not ready; looking warms it.
_POLL_S = 2.0
_TOKEN_TIMEOUT_S = 15.0
# What the runner waits longer than the host does: readings that take their time must not make it give up.
_RUNNER_GRACE_S = 60.0

# An empty token opens as well: a full phone must not keep a runner waiting.
_OPEN = """
printf '%s' "$2" >"$1.part" && mv "$1.part" "$1" || : >"$1"
"""


class GateOptions(Frozen):
    """Which gate, and what replaces its limits.

    Attributes:
        name: a set of limits; see :func:`limits_for`.
        max_celsius: hottest CPU zone.
        max_cpu_busy: fraction 0..1.
        min_battery_percent: charge level.
        time_limit_s: how long one repetition may wait.
    """

    name: GateName = "default"
    max_celsius: float | None = Field(None, gt=0)
    max_cpu_busy: float | None = Field(None, gt=0, le=1)
    min_battery_percent: int | None = Field(None, ge=0, le=100)
    time_limit_s: float = Field(300, ge=0)

    @property
    def runner_timeout_s(self) -> int:
        """How long the runner waits before it takes the host for gone."""
        return round(self.time_limit_s + _RUNNER_GRACE_S)


def gate_options(name: str, **replaced: float | int | None) -> GateOptions:
    """Options from a command line.

    Raises:
        UsageError: no such gate, or limits for a gate that is off.
    """
    if name not in get_args(GateName):
        raise UsageError(f"Unknown gate {name!r}.", next_step=f"Available: {', '.join(get_args(GateName))}")
    given = {key: value for key, value in replaced.items() if value is not None}
    if name == "off" and given.keys() - {"time_limit_s"}:
        raise UsageError("--gate off asks for nothing, so limits mean nothing", next_step="Leave one out.")
    return GateOptions.model_validate({"name": name, **given})


class Limits(Frozen):
    """What readings must meet; None asks nothing. ``screen_on`` False asks for a dark screen."""

    max_thermal_status: int | None = None
    max_celsius: float | None = None
    max_cpu_busy: float | None = None
    min_battery_percent: int | None = None
    screen_on: bool | None = None


# docs/protocol.md says where the numbers come from.
_PHONE: dict[GateName, Limits] = {
    "default": Limits(max_thermal_status=0, max_celsius=40, max_cpu_busy=0.3, min_battery_percent=20),
    "strict": Limits(
        max_thermal_status=0, max_celsius=35, max_cpu_busy=0.2, min_battery_percent=50, screen_on=False
    ),
}
# Without fans boards rest hotter than phones; a Raspberry Pi begins to throttle at 80 C.
_BOARD: dict[GateName, Limits] = {
    "default": Limits(max_celsius=65, max_cpu_busy=0.3),
    "strict": Limits(max_celsius=55, max_cpu_busy=0.2),
}
# A desktop rests at temperatures that no phone reaches, and its load is its owner's business: both are read
# and stored.
_LOCAL: dict[GateName, Limits] = {
    "default": Limits(),
    "strict": Limits(max_celsius=70, max_cpu_busy=0.2),
}
_LIMITS: dict[DeviceKind, dict[GateName, Limits]] = {"adb": _PHONE, "ssh": _BOARD, "local": _LOCAL}


def limits_for(options: GateOptions, kind: DeviceKind) -> Limits:
    """The limits of a gate on a kind of device."""
    if options.name == "off":
        return Limits()
    limits = _LIMITS[kind][options.name]
    replaced = options.model_dump(include=Limits.model_fields.keys() & GateOptions.model_fields.keys())
    return limits.model_copy(update={name: value for name, value in replaced.items() if value is not None})


@dataclass(frozen=True)
class Verdict:
    """What readings mean for a gate.

    Attributes:
        unmet: what is in the way, in words with figures.
        unreadable: names of readings that are asked for and not known; they do not keep the gate shut.
        hopeless: waiting will not help.
    """

    unmet: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    hopeless: bool = False


@dataclass(frozen=True)
class _Check:
    reading: str
    limit: str
    meets: Callable[[float, float], bool]
    words: str


_CHECKS = (
    _Check("thermal_status", "max_thermal_status", operator.le, "thermal status {0} (at most {1})"),
    _Check("hottest_cpu_celsius", "max_celsius", operator.le, "hottest CPU zone {0:.1f} C (at most {1:g})"),
    _Check("cpu_busy", "max_cpu_busy", operator.le, "CPU busy {0:.0%} (at most {1:.0%})"),
    _Check("battery_percent", "min_battery_percent", operator.ge, "battery {0}% (at least {1}%)"),
    _Check("screen_on", "screen_on", operator.eq, "the screen is on"),
)


def judge(readings: Readings, limits: Limits) -> Verdict:
    """Compare readings with limits; what cannot be read is listed and blocks nothing."""
    unmet: dict[str, str] = {}
    unreadable: list[str] = []
    for check in _CHECKS:
        value, limit = getattr(readings, check.reading), getattr(limits, check.limit)
        if limit is None:
            continue
        if value is None:
            unreadable.append(check.reading)
        elif not check.meets(value, limit):
            unmet[check.reading] = check.words.format(value, limit)
    draining = "battery_percent" in unmet and readings.charging is False
    return Verdict(tuple(unmet.values()), tuple(unreadable), hopeless=draining)


@dataclass(frozen=True)
class Moment:
    """Readings and what they belong to; ``repetition`` is None for those around the whole run."""

    moment: Literal["before", "after"]
    repetition: int | None
    readings: Readings


class GateKeeper:
    """Opens the gate for one run, and keeps every reading.

    Args:
        device: where the runner waits.
        run_id: the run.
        options: the gate.
        say: told, in a sentence, what a repetition is waiting for.
        poll_s: seconds between two looks at a device that is not ready.

    Attributes:
        moments: readings around repetitions, in the order in which they were taken.
    """

    def __init__(
        self,
        device: Device,
        run_id: str,
        options: GateOptions,
        kind: DeviceKind,
        *,
        say: Callable[[str], None],
        poll_s: float = _POLL_S,
    ) -> None:
        self.moments: list[Moment] = []
        self._device = device
        self._run_dir = remote.run_dir(device, run_id)
        self._options = options
        self._limits = limits_for(options, kind)
        self._window_s = _LOCAL_CPU_WINDOW_S if kind == "local" else _CPU_WINDOW_S
        self._say = say
        self._poll_s = poll_s

    def on_line(self, line: str) -> None:
        """Take a line of the runner's output; returns once the gate that it asks for is open.

        Raises:
            GateTimeout: the device was not ready within the time limit, or never will be.
            DeviceError: the device was lost.
        """
        record = _record(line)
        if record is None or self._options.name == "off":
            return
        kind, index = record
        if kind == "repetition":
            self.moments.append(Moment("after", index, self._device.readings(cpu_window_s=0)))
        else:
            self._open(index)

    def _open(self, index: int) -> None:
        readings = self._ready(index)
        self.moments.append(Moment("before", index, readings))
        # The readings go along: whoever finds the run after this host died, finds them too.
        known = [asdict(moment) for moment in self.moments if moment.repetition in (index - 1, index)]
        token = remote.gate_token(self._run_dir, index)
        opened = self._device.shell(
            ["sh", "-c", _OPEN, "slm-gate", token, json.dumps(known)], timeout_s=_TOKEN_TIMEOUT_S
        )
        if opened.returncode != 0:
            raise DeviceError(
                f"the gate of repetition {index} cannot be opened: {opened.stderr.strip()[-200:]}",
                serial=self._device.serial,
                next_step="Free some space on the device: slm devices clean.",
            )

    def _ready(self, index: int) -> Readings:
        started = time.monotonic()
        said: tuple[str, ...] = ()
        while True:
            readings = self._device.readings(cpu_window_s=self._window_s)
            verdict = judge(readings, self._limits)
            if not verdict.unmet:
                return readings
            waited_s = time.monotonic() - started
            if verdict.hopeless or waited_s >= self._options.time_limit_s:
                raise self._timeout(index, verdict, waited_s)
            if not said:
                said = verdict.unmet
                self._say(f"{self._device.serial}: repetition {index} waits: {', '.join(said)}")
            time.sleep(min(self._poll_s, max(self._options.time_limit_s - waited_s, 0)))

    def _timeout(self, index: int, verdict: Verdict, waited_s: float) -> GateTimeout:
        return GateTimeout(
            f"not ready for repetition {index} after {waited_s:.0f} s: {', '.join(verdict.unmet)}",
            subject=f"device {self._device.serial}",
            next_step="Let it cool, charge it, end what runs on it, or set other limits: --max-celsius, "
            "--max-cpu-busy, --min-battery, --gate-limit, --gate off.",
        )


_MOMENTS = TypeAdapter(list[Moment])


def parse_moments(texts: Sequence[str]) -> tuple[Moment, ...]:
    """The readings out of gate tokens found on a device, each once; a token of another kind holds none."""
    found: dict[tuple[str, int | None], Moment] = {}
    for text in texts:
        try:
            moments = _MOMENTS.validate_json(text)
        except ValueError:
            continue
        found |= {(moment.moment, moment.repetition): moment for moment in moments}
    return tuple(sorted(found.values(), key=lambda moment: moment.readings.unix_ns))


def unreadable(moments: Sequence[Moment], limits: Limits) -> tuple[str, ...]:
    """Conditions that were asked for and could not be read before some repetition."""
    names: dict[str, None] = {}
    for moment in moments:
        if moment.moment == "before" and moment.repetition is not None:
            names |= dict.fromkeys(judge(moment.readings, limits).unreadable)
    return tuple(names)


def _record(line: str) -> tuple[str, int] | None:
    """(kind, index) of a ``gate`` or ``repetition`` record; None of every other line."""
    # Most lines are long: only those that may matter are parsed.
    if '"record":"gate"' not in line and '"record":"repetition"' not in line:
        return None
    try:
        record = json.loads(line)
        return str(record["record"]), int(record["index"])
    except (ValueError, KeyError, TypeError):
        return None
