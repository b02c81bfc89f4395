"""Verdicts keep their promise: in simulations of runs whose true change is known."""

from __future__ import annotations

import random
from collections import Counter
from statistics import median

import pytest

from toolkit.analysis.statistics import Interval
from toolkit.analysis.verdicts import Outcome, outcome_of, power_of, widened

LIMIT = 0.05
# Of one run's figure around the condition's.
SIGMA = 0.02
# What 95 % of pairs of equal runs stay below.
FLOOR = 1.96 * SIGMA * 2**0.5
TRIALS = 2000


def simulated(rng: random.Random, true: float, runs: int, baseline_runs: int) -> tuple[float, Interval]:
    """How much worse the runs come out, with the interval; the bootstrap is that of single runs: nothing."""
    now = median(rng.gauss(true, SIGMA) for _ in range(runs))
    before = median(rng.gauss(0, SIGMA) for _ in range(baseline_runs))
    change = now - before
    return change, widened(Interval(change, change), change, FLOOR, runs, baseline_runs)


def shares(true: float, runs: int = 1) -> dict[Outcome, float]:
    rng = random.Random(f"{true} {runs}")
    counted = Counter(outcome_of(simulated(rng, true, runs, runs)[1], LIMIT) for _ in range(TRIALS))
    return {outcome: count / TRIALS for outcome, count in counted.items()}


@pytest.mark.parametrize("true", [-0.2, 0.0, 0.03, 0.05])
def test_what_is_not_worse_than_the_limit_is_seldom_called_worse(true: float) -> None:
    assert all(shares(true, runs).get("worse", 0) <= 0.05 for runs in (1, 2, 3, 6))


@pytest.mark.parametrize("true", [0.05, 0.07, 0.1, 0.3])
def test_what_is_worse_than_the_limit_is_seldom_called_the_same(true: float) -> None:
    for runs in (1, 2, 3, 6):
        found = shares(true, runs)
        assert found.get("same", 0) + found.get("better", 0) <= 0.05


def test_what_is_clear_is_said() -> None:
    assert (
        shares(0.3)["worse"] > 0.95 and shares(-0.3)["better"] > 0.95 and shares(0.0, runs=12)["same"] > 0.8
    )


@pytest.mark.parametrize("true", [-0.1, -0.02, 0.0, 0.02, 0.08, 0.1])
def test_so_many_rounds_as_are_told_would_tell(true: float) -> None:
    """In about 80 % of all cases: the change may come out nearer to the limit than it looked."""
    change = true
    runs = baseline_runs = 1
    interval = widened(Interval(change, change), change, FLOOR, runs, baseline_runs)
    assert outcome_of(interval, LIMIT) == "inconclusive"
    power = power_of(interval, change, LIMIT, runs, baseline_runs)
    assert power.rounds is not None
    needed = power.baseline_rounds or baseline_runs
    rng = random.Random(true)
    told = sum(
        outcome_of(simulated(rng, true, power.rounds, needed)[1], LIMIT) != "inconclusive"
        for _ in range(TRIALS)
    )
    assert told / TRIALS > 0.7
    fewer = max(1, power.rounds // 3)
    rng = random.Random(true)
    less = sum(
        outcome_of(simulated(rng, true, fewer, max(1, needed // 3))[1], LIMIT) != "inconclusive"
        for _ in range(TRIALS)
    )
    assert less < told, "they are not asked for in vain"


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [
        (-0.05, 0.05, "same"),
        (-0.04, -0.01, "same"),
        (-0.40, 0.04, "inconclusive"),
        (-0.051, -0.01, "inconclusive"),
        (-0.40, -0.05, "inconclusive"),
        (-0.40, -0.06, "better"),
        (-0.40, 0.40, "inconclusive"),
        (0.04, 0.40, "inconclusive"),
        (0.06, 0.40, "worse"),
    ],
)
def test_same_is_claimed_of_intervals_within_the_limit_on_both_sides(
    low: float, high: float, outcome: Outcome
) -> None:
    assert outcome_of(Interval(low, high), LIMIT) == outcome


def test_rounds_are_told_for_either_side() -> None:
    """A gain that may be none takes as many as a loss of the same size."""
    loss = power_of(Interval(0.0, 0.2), 0.1, LIMIT, 2, 3)
    gain = power_of(Interval(-0.2, 0.0), -0.1, LIMIT, 2, 3)
    assert loss.rounds is not None and loss == gain
    # Within, what is nearer to a limit takes more.
    near, far = (power_of(Interval(at - 0.06, at + 0.06), at, LIMIT, 2, 2) for at in (-0.03, -0.01))
    assert near.rounds is not None and far.rounds is not None
    assert near.rounds + (near.baseline_rounds or 0) > far.rounds + (far.baseline_rounds or 0)


def test_a_change_at_the_limit_is_never_decided() -> None:
    at = power_of(Interval(0.0, 0.1), LIMIT, LIMIT, 3, 3)
    near = power_of(Interval(0.0, 0.1), 0.0501, LIMIT, 3, 3)
    assert at.rounds is None and near.rounds is None and at.reason and near.reason
