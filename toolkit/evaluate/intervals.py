"""Figures of a text with intervals: a bootstrap over its windows.

Tokens of one window are not independent of each other, so windows are what is drawn (Efron and Tibshirani,
"An introduction to the bootstrap", 1993, chapters 8 and 13). The figures of one text in two models are drawn
together, which makes the interval of their ratio as narrow as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from toolkit.artifact import Frozen

RESAMPLES = 2000
LEVEL = 0.95


class Estimate(Frozen):
    """A figure with its 95 % interval; None where a single window gives none."""

    value: float
    low: float | None = None
    high: float | None = None


def estimate(
    statistic: Callable[..., NDArray[np.float64]], *sums: Sequence[float], seed: int = 0
) -> Estimate:
    """A figure that is computed from sums over windows.

    Args:
        statistic: makes figures [n] of as many arrays of totals [n] as there are sums.
        sums: per quantity, its sum in each window.
        seed: of the bootstrap.
    """
    table = np.array(sums, np.float64)
    [value] = statistic(*table.sum(axis=1, keepdims=True))
    windows = table.shape[1]
    if windows < 2:
        return Estimate(value=float(value))
    drawn = np.random.default_rng(seed).integers(windows, size=(RESAMPLES, windows))
    replicates = statistic(*table[:, drawn].sum(axis=2))
    outside = (1 - LEVEL) / 2
    low, high = np.quantile(replicates, [outside, 1 - outside])
    return Estimate(value=float(value), low=float(low), high=float(high))
