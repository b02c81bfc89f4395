"""Verdicts on made data whose answers are known."""

from __future__ import annotations

import math
import random
from statistics import linear_regression

import pytest

from toolkit.analysis.findings import FEWEST, Middle, Sample, Statement, linearity, scatter_ratio, verdict_of
from toolkit.analysis.statistics import Interval

# Neither a line nor a constant explains anything of it: what is left of it after a fit is all of it.
PATTERN = (1.0, -1.0, -1.0, 1.0)
SIZES = (1e8, 2e8, 4e8, 8e8)


def power_law(exponent: float, off: float) -> list[float]:
    return [math.exp(exponent * math.log(x) + off * sign) for x, sign in zip(SIZES, PATTERN, strict=True)]


@pytest.mark.parametrize(
    ("low", "high", "above", "below"),
    [
        (1.1, 2.0, "supported", "contradicted"),
        (0.2, 0.9, "contradicted", "supported"),
        (0.9, 1.1, "not enough data", "not enough data"),
        (1.0, 1.2, "not enough data", "not enough data"),
    ],
)
def test_a_verdict_follows_from_the_interval_alone(low: float, high: float, above: str, below: str) -> None:
    assert verdict_of(Interval(low, high), 1.0, above=True) == above
    assert verdict_of(Interval(low, high), 1.0, above=False) == below


def test_scatter_is_what_size_does_not_explain() -> None:
    first, second = power_law(0.7, 0.3), power_law(1.0, 0.1)
    draw = [(x, {"a": a, "b": b}) for x, a, b in zip(SIZES, first, second, strict=True)]
    assert scatter_ratio("a", "b")(draw) == pytest.approx(3.0)
    assert scatter_ratio("b", "a")(draw) == pytest.approx(1 / 3)
    assert scatter_ratio("a", "b")([draw[0]] * 4) is None, "models of one size have no line"


def test_linearity_is_the_squared_correlation() -> None:
    numpy = pytest.importorskip("numpy")
    ys = [3.0, 5.0, 10.0, 15.5]
    draw = [(x, {"a": y}) for x, y in zip(SIZES, ys, strict=True)]
    assert linearity("a")(draw) == pytest.approx(numpy.corrcoef(SIZES, ys)[0, 1] ** 2)


def statement() -> Statement:
    return Statement(
        text="the first scatters more",
        source="made up",
        names=("a", "b"),
        statistic=scatter_ratio("a", "b"),
        limit=1.0,
        above=True,
        effect="{:.2f}".format,
    )


def made(count: int, a: float, b: float, seed: int = 1) -> list[Sample]:
    noise = random.Random(seed)
    return [
        Sample(
            name=f"m{index}",
            x=1e8 * 1.3**index,
            values={"a": math.exp(noise.gauss(0, a)), "b": math.exp(noise.gauss(0, b))},
            rows=(f"run{index}",),
        )
        for index in range(count)
    ]


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [(1.0, 0.1, "supported"), (0.1, 1.0, "contradicted"), (0.5, 0.5, "not enough data")],
)
def test_statements_are_judged(a: float, b: float, verdict: str) -> None:
    found = statement().test(made(20, a, b), "made up")
    assert found.verdict == verdict
    assert found.low is not None and found.value is not None and found.high is not None
    assert found.low <= found.value <= found.high
    assert len(found.rows) == 20 and found.rows[0] == "run0"


def test_too_few_models_say_nothing_and_how_many_are_needed() -> None:
    found = statement().test(made(5, 1.0, 0.1), "made up", made(20, 1.0, 0.1))
    assert (found.verdict, found.value) == ("not enough data", None)
    assert "5 of the 6" in found.why
    assert found.published is not None and found.published.startswith("supported")


def test_a_value_that_was_not_measured_is_no_sample() -> None:
    samples = [*made(5, 1.0, 0.1), Sample(name="half", x=1e9, values={"a": 1.0})]
    assert "5 of the 6" in statement().test(samples, "made up").why


def test_the_same_data_give_the_same_interval() -> None:
    first, second = (statement().test(made(8, 1.0, 0.1), "made up") for _ in range(2))
    assert first == second


POSITIVE = Statement(
    text="it is above zero",
    source="made up",
    names=("a",),
    statistic=Middle(lambda one: one["a"]),
    limit=0.0,
    above=True,
    effect="{:.2f}".format,
)


@pytest.mark.parametrize("count", [2, 3, 5, 6, 7, 9, 12])
def test_chance_alone_is_seldom_a_verdict(count: int) -> None:
    """Of numbers around the limit at most 5 % may be called above or below it."""
    chance, wrong, trials = random.Random(count), 0, 500
    for _ in range(trials):
        drawn = [Sample(f"m{index}", 1.0, {"a": chance.gauss(0, 1)}) for index in range(count)]
        wrong += POSITIVE.test(drawn, "made up").verdict != "not enough data"
    assert wrong / trials <= 0.06


def test_a_slope_that_is_not_there_is_seldom_found_in_few_models() -> None:
    slope = Statement(
        text="it rises",
        source="made up",
        names=("a",),
        statistic=lambda draw: (
            linear_regression([x for x, _ in draw], [one["a"] for _, one in draw]).slope
            if len({x for x, _ in draw}) > 1
            else None
        ),
        limit=0.0,
        above=True,
        effect="{:.2f}".format,
    )
    chance, wrong, trials = random.Random(3), 0, 15
    for _ in range(trials):
        drawn = [Sample(f"m{index}", float(index), {"a": chance.gauss(0, 1)}) for index in range(FEWEST)]
        wrong += slope.test(drawn, "made up").verdict != "not enough data"
    assert wrong <= 2


def test_what_was_measured_of_one_model_several_times_is_one_sample() -> None:
    again = [
        Sample(f"m{number % 5}", 1.0, {"a": 1.0 + number}, {"a": [1.0, 2.0]}, (f"run{number}",))
        for number in range(30)
    ]
    found = POSITIVE.test(again, "made up")
    assert found.verdict == "not enough data" and "5 of the 6" in found.why
    assert found.effect == "15.50" and len(found.rows) == 30
    enough = POSITIVE.test([*again, Sample("another", 1.0, {"a": 3.0})], "made up")
    assert (enough.verdict, enough.low, enough.high) == ("supported", 3.0, 17.5)
