"""Medians, bootstrap intervals and effect sizes over runs of repetitions, in plain Python.

Repetitions of one run share a process, its memory layout and the device's mood of that minute, so they are
not independent samples. The bootstrap therefore resamples runs first and repetitions within them second, and
a group's figure is the median of its runs' medians.

Sources: T. Kalibera and R. Jones, "Rigorous benchmarking in reasonable time" (ISMM 2013), for the levels;
B. Efron and R. Tibshirani, "An introduction to the bootstrap" (1993), chapter 13, for the percentile
interval; N. Cliff, "Dominance statistics" (1993), for the effect size; W. Conover, "Practical nonparametric
statistics" (1999), section 3.2, for the exact interval of a median; T. Hesterberg, "What teachers should know
about the bootstrap" (The American Statistician, 2015), for what few samples ask of a percentile interval.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median

RESAMPLES = 2000
LEVEL = 0.95
# From here on, resampling runs alone carries the variation within them as well.
_MANY_RUNS = 20
# Bounds the time for large groups, whose intervals are narrow anyway.
_MAX_DRAWS = 4_000_000
_FEWEST_RESAMPLES = 200
# Two-sided, 95 %, for 1 to 10 degrees of freedom.
_STUDENTS_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True)
class Interval:
    """A confidence interval; ``level`` is its confidence, e.g. 0.95."""

    low: float
    high: float
    level: float = LEVEL

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return self.low <= value <= self.high


def median_of_medians(samples: Sequence[Sequence[float]]) -> float:
    """The median over runs of the median over a run's repetitions.

    Args:
        samples: one sequence of repetitions for each run; none of them empty.
    """
    return median(median(repetitions) for repetitions in samples)


def resample(samples: Sequence[Sequence[float]], seed: str, resamples: int = RESAMPLES) -> list[float]:
    """Bootstrap replicates of :func:`median_of_medians`; the same for the same samples and seed.

    Args:
        samples: as there.
        seed: any text.
        resamples: how many replicates; fewer for very large groups.
    """
    generator = random.Random(seed)
    ordered = [sorted(repetitions) for repetitions in samples]
    if len(ordered) >= _MANY_RUNS:
        medians = [median(repetitions) for repetitions in ordered]
        return [_middle(generator, medians) for _ in range(_affordable(resamples, len(medians)))]
    return [
        median(_middle(generator, repetitions) for repetitions in generator.choices(ordered, k=len(ordered)))
        for _ in range(_affordable(resamples, sum(map(len, ordered))))
    ]


def _affordable(resamples: int, draws: int) -> int:
    return max(min(resamples, _MAX_DRAWS // draws), min(resamples, _FEWEST_RESAMPLES))


def _middle(generator: random.Random, values: Sequence[float]) -> float:
    """The median of one resample of some values."""
    return values[0] if len(values) == 1 else median(generator.choices(values, k=len(values)))


def percentile_interval(replicates: Sequence[float], level: float = LEVEL) -> Interval:
    """The range that holds the middle ``level`` of bootstrap replicates."""
    ordered = sorted(replicates)
    outside = (1 - level) / 2
    last = len(ordered) - 1
    return Interval(ordered[round(outside * last)], ordered[round((1 - outside) * last)], level)


def median_interval(values: Sequence[float], level: float = LEVEL) -> Interval | None:
    """The exact interval of the median that independent values are drawn around, between two of them.

    None of so few values that not even the smallest and the largest hold it that often: below 6 for 95 %.
    """
    ordered, rank, below = sorted(values), 0, 0
    while 2 * (below + math.comb(len(ordered), rank)) / 2 ** len(ordered) <= 1 - level:
        below += math.comb(len(ordered), rank)
        rank += 1
    return Interval(ordered[rank - 1], ordered[-rank], level) if rank else None


def expanded_interval(replicates: Sequence[float], samples: int) -> Interval:
    """The 95 % percentile interval, with its ends so much further out as few samples ask for.

    The bootstrap's spread is sqrt((n - 1) / n) of what it should be, and its tails are a normal
    distribution's in place of Student's.
    """
    far = students_t(samples - 1) * math.sqrt(samples / (samples - 1))
    found = percentile_interval(replicates, 2 * NormalDist().cdf(far) - 1)
    return Interval(found.low, found.high)


def students_t(freedom: int) -> float:
    """What Student's t stays within in 95 % of all cases; within 0.001 of printed tables.

    Args:
        freedom: degrees of freedom, at least 1.
    """
    if freedom <= len(_STUDENTS_T):
        return _STUDENTS_T[freedom - 1]
    # Abramowitz and Stegun, "Handbook of mathematical functions", 26.7.5.
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + math.fsum(term / float(freedom**power) for power, term in enumerate(terms, start=1))


def cliffs_delta(values: Sequence[float], others: Sequence[float]) -> float:
    """How often a value of the first group exceeds one of the second, less how often it falls short.

    1 when all do, -1 when none does, 0 when the two overlap evenly.
    """
    ordered = sorted(others)
    wins = sum(bisect_left(ordered, value) for value in values)
    losses = sum(len(ordered) - bisect_right(ordered, value) for value in values)
    return (wins - losses) / (len(values) * len(ordered))


def relative_gap(value: float, other: float) -> float:
    """How far two positive figures are apart, whichever is the larger: 0.1 when one is 10 % more."""
    return max(value, other) / min(value, other) - 1


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
