"""What a gate asks of a device's readings, and judging them."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toolkit.artifact import Frozen
from toolkit.devices.base import DeviceKind, Readings
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.gate_options import GateName, GateOptions


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


def limits_for(options: GateOptions, kind: DeviceKind, *, lit: bool = False) -> Limits:
    """The limits of a gate on a kind of device.

    Args:
        options: the gate.
        kind: what it is asked of.
        lit: the run itself lights the screen (``ProfileRequest.lights_screen``): no dark one is asked for.
    """
    if options.name in ("off", "watch"):
        return Limits()
    limits = _LIMITS[kind][options.name]
    if lit:
        limits = limits.model_copy(update={"screen_on": None})
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


def unreadable(moments: Sequence[Moment], limits: Limits) -> tuple[str, ...]:
    """Conditions that were asked for and could not be read before some repetition."""
    names: dict[str, None] = {}
    for moment in moments:
        if moment.moment == "before" and moment.repetition is not None:
            names |= dict.fromkeys(judge(moment.readings, limits).unreadable)
    return tuple(names)
