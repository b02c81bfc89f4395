from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.analysis.statistics import (
    cliffs_delta,
    median_interval,
    median_of_medians,
    percentile,
    percentile_interval,
    relative_gap,
    resample,
    students_t,
)

figures = st.lists(st.floats(1, 1e6), min_size=1, max_size=12)


def test_a_group_of_one_run_has_that_runs_median() -> None:
    assert median_of_medians([[3.0, 1.0, 2.0]]) == 2.0
    assert median_of_medians([[1.0, 1.0, 90.0], [2.0], [3.0, 3.0]]) == 2.0, "runs count, not repetitions"


def test_the_bootstrap_is_the_same_for_the_same_seed_only() -> None:
    samples = [[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 6.0]]
    assert resample(samples, "a") == resample(samples, "a")
    assert resample(samples, "a") == resample([list(reversed(run)) for run in samples], "a")
    assert resample(samples, "a") != resample(samples, "b")


@given(st.lists(figures, min_size=1, max_size=6))
def test_an_interval_lies_within_the_samples_and_replicates_around_the_figure(
    samples: list[list[float]],
) -> None:
    replicates = resample(samples, "seed", 200)
    interval = percentile_interval(replicates)
    values = [value for run in samples for value in run]
    assert min(values) <= interval.low <= interval.high <= max(values)
    assert len(replicates) == 200


def test_runs_that_differ_widen_the_interval_more_than_repetitions_do() -> None:
    within = [[99.0, 100.0, 101.0]] * 3
    between = [[99.0, 99.1, 98.9], [100.0, 100.1, 99.9], [101.0, 101.1, 100.9]]
    narrow, wide = (percentile_interval(resample(samples, "x")) for samples in (within, between))
    assert wide.high - wide.low >= narrow.high - narrow.low


@pytest.mark.parametrize("runs", [4, 25])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(runs: int) -> None:
    chance, held, trials = random.Random(7), 0, 150
    for trial in range(trials):
        samples = []
        for _ in range(runs):
            centre = chance.gauss(100, 2)
            samples.append([chance.gauss(centre, 1) for _ in range(5)])
        held += percentile_interval(resample(samples, str(trial), 300)).holds(100)
    # The percentile interval of few runs is known to be a little too narrow.
    assert held / trials >= 0.85


def test_large_groups_take_fewer_replicates() -> None:
    many = [[float(number)] for number in range(20_000)]
    assert len(resample(many, "x")) == 200


@given(figures, figures)
def test_cliffs_delta_is_what_its_definition_says(values: list[float], others: list[float]) -> None:
    pairs = [(value > other) - (value < other) for value in values for other in others]
    assert cliffs_delta(values, others) == pytest.approx(statistics.fmean(pairs))
    assert cliffs_delta(others, values) == pytest.approx(-cliffs_delta(values, others))


def test_a_gap_is_the_same_both_ways() -> None:
    assert relative_gap(100, 110) == relative_gap(110, 100) == pytest.approx(0.1)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 2), (0.51, 3), (0.95, 4), (1.0, 4)])
def test_percentiles_are_values_that_occurred(share: float, value: float) -> None:
    assert percentile([4, 1, 3, 2], share) == value


# Ranks of the ends at 95 %, as tables of the sign test have them.
@pytest.mark.parametrize(
    ("count", "ranks"),
    [(5, None), (6, (1, 6)), (8, (1, 8)), (9, (2, 8)), (12, (3, 10)), (20, (6, 15)), (25, (8, 18))],
)
def test_the_interval_of_a_median_has_the_ends_that_tables_have(
    count: int, ranks: tuple[int, int] | None
) -> None:
    found = median_interval([float(one) for one in range(count, 0, -1)])
    assert (None if found is None else (found.low, found.high)) == ranks


@pytest.mark.parametrize(
    ("freedom", "value"), [(1, 12.706), (4, 2.776), (11, 2.201), (15, 2.131), (30, 2.042), (120, 1.980)]
)
def test_students_t_is_what_tables_have(freedom: int, value: float) -> None:
    assert students_t(freedom) == pytest.approx(value, abs=0.001)
