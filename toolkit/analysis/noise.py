"""The A/A noise floor: how far apart two runs of the very same conditions come out.

It is measured, never assumed: from pairs of runs in the store that share every part of the condition key. A
difference below it says nothing, whatever its interval, because repetitions of one run agree better with each
other than with those of the next.

Of few runs the largest gap is a matter of luck: the floor then is the interval that Student's t gives for the
gap of two more runs, of normal logarithms and the spread that all conditions share. Where all of them came
out equal there is no such form: normal figures never do, so they were rounded by more than runs differ by,
and how much that is nobody saw. Then there is no floor, until so many agree that their own percentile counts.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean
from typing import Literal

from toolkit.analysis.compared_figures import Figure
from toolkit.analysis.condition_key import ConditionKey
from toolkit.analysis.groups import RunSamples, load_run_figures
from toolkit.analysis.statistics import percentile, relative_gap, students_t
from toolkit.store import tables
from toolkit.store.store import Store

# Of the pairs, this share lies below the floor.
_SHARE = 0.95
# From so many independent gaps on, their own percentile tells more than the form that is assumed of few.
MANY = 20
# Of a second this is a nanosecond, which is as fine as times are measured: closer figures came out equal.
_EQUAL = 1e-9
# With fewer pairs of their own, two conditions borrow those of their device.
_ENOUGH_PAIRS = 10
# Newest runs that are looked at, in all and for one condition: bounds the time, and forgets old drift.
_RECENT_RUNS = 5000
_RECENT_OF_ONE = 30


@dataclass(frozen=True)
class NoiseFloor:
    """How far apart equal conditions were.

    Attributes:
        relative: 95 % of pairs of equal runs are closer than this; 0.03 is 3 %. Wide where few were
            repeated.
        pairs: how many pairs of runs that is measured from.
        scope: whose: those of the conditions compared, or, where these were not repeated often enough, of
            everything that was repeated on their devices.
        settled: whether so many runs tell it that more would hardly narrow it.
    """

    relative: float
    pairs: int
    scope: Literal["conditions", "device"]
    settled: bool = True


@dataclass
class _Spread:
    """What repeated runs differ by.

    Attributes:
        gaps: of all pairs.
        squares: of logarithms around the means of their conditions, summed up.
        freedom: independent gaps: runs less conditions.
    """

    gaps: list[float] = field(default_factory=list)
    squares: float = 0.0
    freedom: int = 0

    def add(self, figures: Sequence[float]) -> None:
        """Take in runs of one condition."""
        logs = [math.log(figure) for figure in figures]
        middle = fmean(logs)
        self.gaps += [relative_gap(one, other) for one, other in combinations(figures, 2)]
        self.squares += sum((one - middle) ** 2 for one in logs)
        self.freedom += len(figures) - 1

    @property
    def tells(self) -> bool:
        """Whether anything follows from it: few figures that all came out equal bound no noise."""
        return self.freedom >= MANY or any(gap > _EQUAL for gap in self.gaps)

    def floor(self, scope: Literal["conditions", "device"]) -> NoiseFloor:
        """What 95 % of pairs are closer than."""
        if self.freedom >= MANY:
            return NoiseFloor(percentile(self.gaps, _SHARE), len(self.gaps), scope)
        half = students_t(self.freedom) * math.sqrt(2 * self.squares / self.freedom)
        return NoiseFloor(math.expm1(half), len(self.gaps), scope, settled=False)


class NoiseFloors:
    """Noise floors of one figure, from runs of the same conditions.

    Args:
        runs: of any conditions.
        side: runs of one condition count as repeated only within one side. A regression check puts the
            baseline and the candidate on two, or the regression itself would pass for noise.
    """

    def __init__(self, runs: Iterable[RunSamples], side: Callable[[str], int] = lambda run_id: 0) -> None:
        medians: dict[tuple[ConditionKey, int], list[float]] = defaultdict(list)
        for run in runs:
            of_one = medians[run.key, side(run.run_id)]
            if len(of_one) < _RECENT_OF_ONE:
                of_one.append(run.median)
        self._repeated: dict[ConditionKey, list[list[float]]] = defaultdict(list)
        self._of_device: dict[str, list[list[float]]] = defaultdict(list)
        for (key, _), figures in medians.items():
            if len(figures) > 1:
                self._repeated[key].append(figures)
                self._of_device[key.device_key].append(figures)

    def equal_runs(self, *keys: ConditionKey) -> int:
        """Where there is no floor: how many runs were repeated, and all came out equal; 0 where none was."""
        devices = dict.fromkeys(key.device_key for key in keys)
        return sum(len(some) for device in devices for some in self._of_device.get(device, ()))

    def floor(self, *keys: ConditionKey) -> NoiseFloor | None:
        """The floor for figures of these conditions.

        None where nothing was ever repeated, or so seldom that all of it came out equal.
        """
        own = _spread(some for key in dict.fromkeys(keys) for some in self._repeated.get(key, ()))
        if len(own.gaps) >= _ENOUGH_PAIRS and own.tells:
            return own.floor("conditions")
        devices = dict.fromkeys(key.device_key for key in keys)
        wider = _spread(some for device in devices for some in self._of_device.get(device, ()))
        if len(wider.gaps) > len(own.gaps) and wider.tells:
            return wider.floor("device")
        return own.floor("conditions") if own.tells else None


def _spread(conditions: Iterable[Sequence[float]]) -> _Spread:
    found = _Spread()
    for figures in conditions:
        found.add(figures)
    return found


def load_noise(
    store: Store,
    figure: Figure,
    keys: Sequence[ConditionKey],
    side: Callable[[str], int] = lambda run_id: 0,
) -> NoiseFloors:
    """Noise floors from all runs that the store has of the devices in ``keys``, the newest ones first."""
    device_keys = sorted({key.device_key for key in keys})
    where = tables.runs.c.device_key.in_(device_keys)
    return NoiseFloors(load_run_figures(store, figure, where=where, limit=_RECENT_RUNS), side)
