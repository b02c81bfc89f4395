"""Power over time, and the energy under it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.profiling.energy.counter_units import Calibration
from toolkit.profiling.records import Power
from toolkit.store.measurements import NS_PER_S

# Samples further apart than this many intervals, and than a second, leave a hole; nothing is guessed there.
_GAP_INTERVALS = 5


@dataclass(frozen=True)
class PowerCurve:
    """Straight lines between samples.

    Attributes:
        times_ns: when, rising.
        watts: drawn at these times.
        longest_gap_ns: two samples further apart are not joined.
    """

    times_ns: Sequence[int]
    watts: Sequence[float]
    longest_gap_ns: int

    @classmethod
    def of(cls, power: Power, calibration: Calibration) -> PowerCurve:
        """The curve of a run's samples."""
        return cls(
            power.monotonic_ns,
            [calibration.watts(i, v) for i, v in zip(power.current, power.voltage, strict=True)],
            max(_GAP_INTERVALS * power.interval_ms * 1_000_000, NS_PER_S),
        )

    def joules(self, start_ns: int, end_ns: int) -> float | None:
        """Energy between two times; None where the samples do not cover them or leave a gap."""
        if not self.times_ns or not self.times_ns[0] <= start_ns < end_ns <= self.times_ns[-1]:
            return None
        inner = range(bisect_right(self.times_ns, start_ns), bisect_left(self.times_ns, end_ns))
        # The samples on either side count for gaps, the cut points for the area.
        around = self.times_ns[max(inner.start - 1, 0) : inner.stop + 1]
        if any(b - a > self.longest_gap_ns for a, b in zip(around, around[1:], strict=False)):
            return None
        times = [start_ns, *(self.times_ns[i] for i in inner), end_ns]
        watts = [self._at(start_ns), *(self.watts[i] for i in inner), self._at(end_ns)]
        return (
            sum((watts[i] + watts[i + 1]) / 2 * (times[i + 1] - times[i]) for i in range(len(times) - 1))
            / NS_PER_S
        )

    def mean_watts(self, start_ns: int, end_ns: int) -> float | None:
        """Mean power between two times, as :meth:`joules`."""
        joules = self.joules(start_ns, end_ns)
        return None if joules is None else joules * NS_PER_S / (end_ns - start_ns)

    def _at(self, time_ns: int) -> float:
        right = bisect_left(self.times_ns, time_ns)
        if self.times_ns[right] == time_ns:
            return self.watts[right]
        left = right - 1
        share = (time_ns - self.times_ns[left]) / (self.times_ns[right] - self.times_ns[left])
        return self.watts[left] + share * (self.watts[right] - self.watts[left])
