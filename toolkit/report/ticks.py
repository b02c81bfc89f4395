"""Ticks of logarithmic axes: both ends have one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import altair as alt

# Engineers' G is a billion.
BILLIONS = {"format": "~s", "labelExpr": "replace(datum.label, 'G', 'B')"}

# Within a decade, from many ticks to few.
_STEPS = ((1, 2, 5), (1, 3), (1,))
_MAXIMUM = 5


def log_ticks(values: Sequence[float]) -> list[float]:
    """Round numbers around positive values, the first and the last of which are the axis' ends.

    Like `ticks` in assets/charts.js.
    """
    low, high = min(values), max(values)
    found: list[float] = []
    for steps in _STEPS:
        decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
        round_numbers = [float(f"{step}e{decade}") for decade in decades for step in steps]
        first = max(one for one in round_numbers if one <= low)
        last = min(one for one in round_numbers if one >= high and one > first)
        found = [one for one in round_numbers if first <= one <= last]
        if len(found) <= _MAXIMUM:
            break
    # Of many decades every second or third.
    stride = math.ceil((len(found) - 1) / _MAXIMUM)
    return [*found[:-1:stride], found[-1]] if stride > 1 else found


def log_axis(values: Sequence[Any], **axis: Any) -> dict[str, Any]:
    """Axis and scale of an encoding over positive values.

    Args:
        values: numbers that are shown along it.
        axis: more properties of the axis.
    """
    ticks = log_ticks([float(value) for value in values]) if values else [1.0, 10.0]
    return {
        "axis": alt.Axis(values=ticks, labelOverlap=False, **axis),
        "scale": alt.Scale(type="log", nice=False, domain=[ticks[0], ticks[-1]]),
    }
