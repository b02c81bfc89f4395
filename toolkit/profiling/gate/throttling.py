"""Did a device slow itself down during a repetition? From the readings before and after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.devices.base import Readings
from toolkit.profiling.gate.moments import Moment


@dataclass(frozen=True)
class Throttling:
    """What readings say about one repetition.

    Attributes:
        shown: whether throttling showed; None when the device gives nothing to tell it by.
        sign: how it showed, in words.
    """

    shown: bool | None = None
    sign: str | None = None


def throttling_by_repetition(moments: Sequence[Moment]) -> dict[int, Throttling]:
    """Repetition -> what its two readings say; repetitions without both are left out."""
    taken: dict[int, dict[str, Readings]] = {}
    for moment in moments:
        if moment.repetition is not None:
            taken.setdefault(moment.repetition, {})[moment.moment] = moment.readings
    return {
        index: throttling(both["before"], both["after"])
        for index, both in sorted(taken.items())
        if both.keys() == {"before", "after"}
    }


def throttling(before: Readings, after: Readings) -> Throttling:
    """Compare readings taken just before and just after a repetition.

    Android's thermal status may only rise with heat, and frequency caps fall with it. Current frequencies say
    nothing: an idle CPU is slow by choice.
    """
    signs = []
    status = (before.thermal_status, after.thermal_status)
    if status[0] is not None and status[1] is not None and status[1] > status[0]:
        signs.append(f"thermal status rose from {status[0]} to {status[1]}")
    caps = (before.cpu_frequency_caps_khz, after.cpu_frequency_caps_khz)
    if caps[0] and caps[1] and len(caps[0]) == len(caps[1]):
        fell = [(old, new) for old, new in zip(caps[0], caps[1], strict=True) if new < old]
        if fell:
            old, new = max(fell, key=lambda pair: pair[0] - pair[1])
            signs.append(
                f"frequency cap fell from {old / 1e6:.2f} to {new / 1e6:.2f} GHz on {len(fell)} CPUs"
            )
    elif None in status:
        return Throttling()
    return Throttling(shown=bool(signs), sign="; ".join(signs) or None)
