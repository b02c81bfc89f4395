"""Is a figure worse than it was, by more than a limit? Four answers, from an interval held against the limit.

"Worse" and "same" are both claims, and each needs evidence: the whole interval of the change on one side of
the limit. What the interval cannot decide is inconclusive, never the same (Schuirmann's two one-sided tests,
J. Pharmacokinet. Biopharm. 15, 1987, in the form of intervals). How many runs more would decide it follows
from how the interval narrows with their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from toolkit.analysis.noise import MANY
from toolkit.analysis.statistics import Interval

Outcome = Literal["worse", "same", "better", "inconclusive"]
# The order in which checks are shown: what needs somebody first.
OUTCOMES: tuple[Outcome, ...] = ("worse", "inconclusive", "same", "better")

# The interval's half width in standard deviations, and what is added for the change to come out clear of the
# limit, or of the limits on both sides, in 80 % of all cases.
_OF_INTERVAL, _OF_POWER, _OF_POWER_BOTH = 1.96, 0.84, 1.28
# A figure so near to its limit is not worth more measuring.
_MAXIMUM_ROUNDS = 100


@dataclass(frozen=True)
class Power:
    """How much measuring would decide an inconclusive check.

    Attributes:
        rounds: runs that the candidate needs in all; None where more runs of it alone cannot decide.
        baseline_rounds: runs that the baseline needs in all, where it needs more than it has.
        reason: why there is no number, for people; None where there is one.
    """

    rounds: int | None = None
    baseline_rounds: int | None = None
    reason: str | None = None


def unknown_noise(runs: int, baseline_runs: int, equal_runs: int) -> Power:
    """What to do where no interval knows how far equal runs are apart.

    Args:
        runs: of the candidate.
        baseline_runs: of the baseline.
        equal_runs: runs that were repeated and all came out equal; 0 where nothing was repeated.
    """
    if equal_runs == 0:
        return Power(runs + 1, baseline_runs + 1, reason="nothing was repeated: the noise is unknown")
    # Of two conditions, so many that the percentile of their gaps counts; one that differs tells earlier.
    enough = MANY // 2 + 1
    return Power(
        max(runs + 1, enough),
        max(baseline_runs + 1, enough),
        reason=f"all {equal_runs} repeated runs came out equal, which are too few to know the noise by",
    )


def widened(
    interval: Interval, relative: float, noise: float | None, runs: int, baseline_runs: int
) -> Interval:
    """A change's interval that knows what equal runs differ by.

    The bootstrap of few runs sees little of that. The noise floor is what 95 % of pairs of equal runs stay
    below, so medians of n and m runs stay below floor * sqrt((v(n) + v(m)) / 2); v is :func:`_variance`.

    Args:
        interval: of the bootstrap.
        relative: the change itself.
        noise: the floor, or None when it is not known.
        runs: of the candidate.
        baseline_runs: of the baseline.
    """
    half = 0.0 if noise is None else noise * math.sqrt((_variance(runs) + _variance(baseline_runs)) / 2)
    return Interval(min(interval.low, relative - half), max(interval.high, relative + half), interval.level)


def outcome_of(worse_by: Interval, limit: float) -> Outcome:
    """The answer that the whole interval gives; ``limit`` is how much worse is a regression."""
    if worse_by.low > limit:
        return "worse"
    if worse_by.high < -limit:
        return "better"
    return "same" if -limit <= worse_by.low and worse_by.high <= limit else "inconclusive"


def power_of(worse_by: Interval, middle: float, limit: float, runs: int, baseline_runs: int) -> Power:
    """How many runs would decide in 80 % of all cases, were the change what it looks like now.

    Args:
        worse_by: the interval that cannot decide.
        middle: the change itself.
        limit: how much worse is a regression.
        runs: of the candidate.
        baseline_runs: of the baseline.
    """
    above, below = worse_by.high - middle, middle - worse_by.low
    power = _OF_POWER
    if middle > limit:
        half, distance = below, middle - limit
    elif middle < -limit:
        half, distance = above, -limit - middle
    else:
        # The interval must come out clear of both limits; the nearer one decides.
        half, distance = max(
            (above, limit - middle), (below, middle + limit), key=lambda side: side[0] / (side[1] or 1e-9)
        )
        power = _OF_POWER_BOTH
    if half <= 0 or distance <= 0:
        return Power(reason="the change is as large as the limit")
    clear = half * (1 + power / _OF_INTERVAL)
    wanted = (_variance(runs) + _variance(baseline_runs)) * (distance / clear) ** 2
    alone = _rounds(wanted - _variance(baseline_runs))
    if alone is not None:
        return Power(rounds=max(alone, runs + 1))
    both = _rounds(wanted / 2)
    if both is not None:
        return Power(rounds=max(both, runs), baseline_rounds=max(both, baseline_runs + 1))
    return Power(reason=f"the change is too near to the limit: {_MAXIMUM_ROUNDS} rounds would not tell")


def _variance(runs: int) -> float:
    """Of the median of so many runs, one run's being 1: exact for one and for many, 2 % off for three."""
    return (math.pi / 2) / (runs + math.pi / 2 - 1)


def _rounds(variance: float) -> int | None:
    """How many runs have a median of no more variance; None when they are too many."""
    if variance <= _variance(_MAXIMUM_ROUNDS):
        return None
    return max(1, math.ceil((math.pi / 2) / variance - (math.pi / 2 - 1)))
