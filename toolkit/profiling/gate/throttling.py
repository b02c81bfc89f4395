"""Did a device slow itself down during a repetition? From the readings before and after it.

"Cannot be told" is an answer of its own: what could be read before and not after, or a core that was off all
along, is neither throttling nor its absence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from toolkit.devices.base import Readings
from toolkit.devices.cpus import cpu_list_words
from toolkit.profiling.gate.moments import Moment

# A cap below this part of a CPU's own highest frequency is a limit; makers trim the last step for good.
_LIMITED_BELOW = 0.9


@dataclass(frozen=True)
class Throttling:
    """What readings say about one repetition.

    Attributes:
        shown: whether throttling showed; None when the device gives nothing to tell it by.
        sign: how it showed, in words.
        doubt: why it cannot be told, in words.
    """

    shown: bool | None = None
    sign: str | None = None
    doubt: str | None = field(default=None, compare=False)

    @property
    def words(self) -> str | None:
        """How it showed, or why it cannot be told."""
        return self.sign or (f"unknown: {self.doubt}" if self.doubt else None)


def throttling_by_repetition(moments: Sequence[Moment], cpus: int | None) -> dict[int, Throttling]:
    """Repetition -> what its two readings say; repetitions without both are left out.

    Args:
        moments: the readings around a run and around its repetitions.
        cpus: how many CPUs the device has, on line or not; None where it does not say.
    """
    taken: dict[int, dict[str, Readings]] = {}
    for moment in moments:
        if moment.repetition is not None:
            taken.setdefault(moment.repetition, {})[moment.moment] = moment.readings
    return {
        index: throttling(both["before"], both["after"], cpus)
        for index, both in sorted(taken.items())
        if both.keys() == {"before", "after"}
    }


def throttling(before: Readings, after: Readings, cpus: int | None = None) -> Throttling:
    """Compare readings taken just before and just after a repetition.

    Android's thermal status rises with heat, cores go off line, and frequency caps fall, or were low from the
    start. Current frequencies say nothing: an idle CPU is slow by choice.
    """
    status, cores, caps = _status(before, after), _cores(before, after, cpus), _caps(before, after)
    evidence = (status, cores, caps)
    signs = [found.words for found in evidence if found.shown and found.words]
    if signs:
        return Throttling(True, "; ".join(signs))
    doubts = [found.words for found in evidence if found.words]
    if doubts:
        return Throttling(doubt="; ".join(doubts))
    # That all cores stayed says little of their clocks: the status or the caps must say so.
    if status.shown is False or caps.shown is False:
        return Throttling(False)
    return Throttling(doubt="neither thermal status nor frequency caps can be read")


def limited_words(readings: Readings) -> str | None:
    """How far below their own highest frequency CPUs are capped, in words; None where none is known to be."""
    pairs = _with_maxima(readings.cpu_frequency_caps_khz, readings.cpu_maximum_frequencies_khz)
    low = [(cap, maximum) for cap, maximum in pairs if cap < _LIMITED_BELOW * maximum]
    if not low:
        return None
    cap, maximum = min(low, key=lambda pair: pair[0] / pair[1])
    return f"capped at {cap / 1e6:.2f} of {maximum / 1e6:.2f} GHz on {len(low)} CPUs"


def unknown_caps_words(
    caps: Sequence[int | None], maxima: Sequence[int | None], cpus: Sequence[int]
) -> str | None:
    """Which of these CPUs may be capped without its being seen, in words; None where none may."""
    unread = [cpu for cpu in cpus if cpu >= len(caps) or caps[cpu] is None]
    if unread:
        return f"the frequency caps of {cpu_list_words(unread)} cannot be read"
    unheld = [cpu for cpu in cpus if cpu >= len(maxima) or maxima[cpu] is None]
    if unheld:
        # Equal caps may have been low all along; a status of none does not deny it.
        return f"the highest frequency of {cpu_list_words(unheld)} cannot be read, to hold the caps against"
    return None


@dataclass(frozen=True)
class _Evidence:
    """Whether one source shows throttling, and how; words without ``shown`` are a doubt."""

    shown: bool | None = None
    words: str | None = None


def _status(before: Readings, after: Readings) -> _Evidence:
    old, new = before.thermal_status, after.thermal_status
    if old is not None and new is not None and new > old:
        return _Evidence(True, f"thermal status rose from {old} to {new}")
    highest = max(status for status in (old, new, 0) if status is not None)
    if highest > 0:
        return _Evidence(True, f"thermal status {highest} from the start")
    if new is None:
        return _Evidence(None, None if old is None else "the thermal status could not be read any more")
    return _Evidence(False)


def _cores(before: Readings, after: Readings, cpus: int | None) -> _Evidence:
    old, new = before.online_cpus, after.online_cpus
    if old is None or new is None:
        return _Evidence(None, None if old is None else "which CPUs were on line could not be read any more")
    if gone := set(old) - set(new):
        return _Evidence(True, f"{cpu_list_words(gone)} went off line")
    caps = before.cpu_frequency_caps_khz or after.cpu_frequency_caps_khz or ()
    if off := set(range(max(cpus or 0, len(caps)))) - set(new):
        return _Evidence(None, f"{cpu_list_words(off)} were off line before and after")
    return _Evidence(False)


def _caps(before: Readings, after: Readings) -> _Evidence:
    old, new = before.cpu_frequency_caps_khz, after.cpu_frequency_caps_khz
    if old is None or new is None:
        unread = old is not None or new is not None
        return _Evidence(None, "the frequency caps could be read only once" if unread else None)
    if len(old) != len(new):
        return _Evidence(None, "the frequency caps are of other CPUs than before")
    both = [
        (one, other) for one, other in zip(old, new, strict=True) if one is not None and other is not None
    ]
    fell = [(one, other) for one, other in both if other < one]
    signs = []
    if fell:
        one, other = max(fell, key=lambda pair: pair[0] - pair[1])
        signs.append(f"frequency cap fell from {one / 1e6:.2f} to {other / 1e6:.2f} GHz on {len(fell)} CPUs")
    if limited := limited_words(before):
        signs.append(f"{limited} from the start")
    if signs:
        return _Evidence(True, "; ".join(signs))
    if limited := limited_words(after):
        # On CPUs that came on line meanwhile.
        return _Evidence(True, limited)
    return _doubts(before, after, old, new)


def _doubts(
    before: Readings, after: Readings, old: Sequence[int | None], new: Sequence[int | None]
) -> _Evidence:
    """What is in the way of saying that no cap was low."""
    lost = [cpu for cpu, cap in enumerate(new) if cap is None and old[cpu] is not None]
    if lost:
        return _Evidence(None, f"the frequency caps of {cpu_list_words(lost)} could not be read any more")
    maxima = after.cpu_maximum_frequencies_khz or before.cpu_maximum_frequencies_khz or ()
    # A CPU off line has no cap, and is a doubt of its own.
    told = [cpu for cpu in range(len(new)) if after.online_cpus is None or cpu in after.online_cpus]
    if unknown := unknown_caps_words(new, maxima, told):
        return _Evidence(None, unknown)
    return _Evidence(False)


def _with_maxima(
    caps: Sequence[int | None] | None, maxima: Sequence[int | None] | None
) -> list[tuple[int, int]]:
    return [
        (cap, maximum)
        for cap, maximum in zip(caps or (), maxima or (), strict=False)
        if cap is not None and maximum is not None
    ]
