"""The A/A noise floor: how far apart two runs of the very same conditions come out.

It is measured, never assumed: from pairs of runs in the store that share every part of the condition key. A
difference below it says nothing, whatever its interval, because repetitions of one run agree better with each
other than with those of the next.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from toolkit.analysis.compared_figures import Figure
from toolkit.analysis.condition_key import ConditionKey
from toolkit.analysis.groups import RunSamples, load_run_figures
from toolkit.analysis.statistics import percentile, relative_gap
from toolkit.store import tables
from toolkit.store.store import Store

# Of the pairs, this share lies below the floor.
_SHARE = 0.95
# With fewer pairs of their own, two conditions borrow those of their device.
_ENOUGH_PAIRS = 10
# Newest runs that are looked at, in all and for one condition: bounds the time, and forgets old drift.
_RECENT_RUNS = 5000
_RECENT_OF_ONE = 30


@dataclass(frozen=True)
class NoiseFloor:
    """How far apart equal conditions were.

    Attributes:
        relative: 95 % of the pairs were closer than this; 0.03 is 3 %.
        pairs: how many pairs of runs that is measured from.
        scope: whose: those of the conditions compared, or, where these were not repeated often enough, of
            everything that was repeated on their devices.
    """

    relative: float
    pairs: int
    scope: Literal["conditions", "device"]


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
        self._gaps: dict[ConditionKey, list[float]] = defaultdict(list)
        self._device_gaps: dict[str, list[float]] = defaultdict(list)
        for (key, _), figures in medians.items():
            gaps = [relative_gap(one, other) for one, other in combinations(figures, 2)]
            self._gaps[key] += gaps
            self._device_gaps[key.device_key] += gaps

    def floor(self, *keys: ConditionKey) -> NoiseFloor | None:
        """The floor for figures of these conditions, or None where nothing was ever repeated."""
        own = [gap for key in dict.fromkeys(keys) for gap in self._gaps.get(key, ())]
        if len(own) >= _ENOUGH_PAIRS:
            return NoiseFloor(percentile(own, _SHARE), len(own), "conditions")
        devices = dict.fromkeys(key.device_key for key in keys)
        wider = [gap for device in devices for gap in self._device_gaps.get(device, ())]
        if len(wider) > len(own):
            return NoiseFloor(percentile(wider, _SHARE), len(wider), "device")
        return NoiseFloor(percentile(own, _SHARE), len(own), "conditions") if own else None


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
