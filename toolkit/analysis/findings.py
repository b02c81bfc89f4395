"""Statements that data can support or contradict, and the test of each.

A statement is about a number: a share, a slope, a ratio. The number comes with a bootstrap interval over the
models that were measured (and over the repetitions within each), and the verdict follows from the interval
alone: when all of it is on the statement's side it is supported, when none of it is it is contradicted, and
everything else is not enough data. A statement may be false on one device and true on another.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import correlation, linear_regression, pstdev
from typing import Literal

from toolkit.analysis.statistics import LEVEL, Interval, percentile_interval

Verdict = Literal["supported", "contradicted", "not enough data"]

_RESAMPLES = 2000


@dataclass(frozen=True)
class Sample:
    """One measured thing in a test.

    Attributes:
        name: for people.
        x: what the values are held against: parameters, tokens.
        values: by name.
        replicates: the bootstrap's replicates of each value, where there are any; published ones have none.
        rows: ids of the runs behind it.
    """

    name: str
    x: float
    values: Mapping[str, float]
    replicates: Mapping[str, Sequence[float]] = field(default_factory=dict, repr=False)
    rows: tuple[str, ...] = ()


# x and values of each sample of one draw.
Draw = Sequence[tuple[float, Mapping[str, float]]]


@dataclass(frozen=True)
class Finding:
    """A statement with its verdict.

    Attributes:
        statement: what is tested.
        source: who says so, and where.
        where: the data it is tested on.
        verdict: see the module.
        effect: the number in words, with its interval.
        why: how the verdict follows, or what is missing.
        rows: ids of the runs behind it.
        published: what the same test says about the published numbers; None where it cannot be done.
        value: the number; None where there is none.
        low, high: its interval.
    """

    statement: str
    source: str
    where: str
    verdict: Verdict
    effect: str
    why: str
    rows: tuple[str, ...] = ()
    published: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def summary(self) -> str:
        """Verdict and number in one line."""
        return self.verdict if self.effect == "-" else f"{self.verdict}: {self.effect}"


@dataclass(frozen=True)
class Statement:
    """A statement about one number of all samples.

    Attributes:
        text: the statement.
        source: who says so, and where.
        fewest: samples without which nothing is said.
        names: the values that a sample must have.
        statistic: the number of a draw; None where it cannot be computed.
        limit: what the number is held against.
        above: whether the statement says that it is above the limit, or below.
        effect: the number as text.
        unit: stands behind it.
        of: what the samples are.
    """

    text: str
    source: str
    fewest: int
    names: tuple[str, ...]
    statistic: Callable[[Draw], float | None]
    limit: float
    above: bool
    effect: Callable[[float], str]
    unit: str = ""
    of: str = "models"

    def test(self, samples: Sequence[Sample], where: str, published: Sequence[Sample] = ()) -> Finding:
        """The verdict on some samples, and on the published ones beside it."""
        usable = [one for one in samples if all(name in one.values for name in self.names)]
        said = self.test(published, "published").summary if published else None
        rows = tuple(dict.fromkeys(row for one in usable for row in one.rows))
        found = bootstrap(usable, self.statistic) if len(usable) >= self.fewest else None
        if found is None:
            why = f"{len(usable)} of the {self.fewest} {self.of} that the test needs at least"
            if len(usable) >= self.fewest:
                why = f"the {self.of} are too much alike for the test"
            return Finding(self.text, self.source, where, "not enough data", "-", why, rows, said)
        value, interval = found
        verdict = verdict_of(interval, self.limit, above=self.above)
        side = "above" if self.above else "below"
        why = f"{len(usable)} {self.of}; the statement holds {side} {self.effect(self.limit)}"
        if verdict == "not enough data":
            why += ", which the interval contains"
        effect = (
            f"{self.effect(value)} (95 %: {self.effect(interval.low)} to {self.effect(interval.high)})"
            f"{self.unit}"
        )
        return Finding(
            self.text,
            self.source,
            where,
            verdict,
            effect,
            why,
            rows,
            said,
            value,
            interval.low,
            interval.high,
        )


def verdict_of(interval: Interval, limit: float, *, above: bool) -> Verdict:
    """What an interval says about a number that should be above a limit, or below it."""
    low, high = (interval.low, interval.high) if above else (-interval.high, -interval.low)
    limit = limit if above else -limit
    if low > limit:
        return "supported"
    return "contradicted" if high < limit else "not enough data"


def bootstrap(
    samples: Sequence[Sample], statistic: Callable[[Draw], float | None], level: float = LEVEL
) -> tuple[float, Interval] | None:
    """A number of all samples with its interval; None where it cannot be computed.

    Samples are drawn with replacement, and of each drawn one a replicate of its values.
    """
    value = statistic([(one.x, one.values) for one in samples])
    if value is None:
        return None
    generator = random.Random(f"{len(samples)} {samples[0].name}")
    drawn = []
    for _ in range(_RESAMPLES):
        some = generator.choices(samples, k=len(samples))
        number = statistic([(one.x, _replicate(one, generator)) for one in some])
        if number is not None:
            drawn.append(number)
    return (value, percentile_interval(drawn, level)) if len(drawn) > _RESAMPLES // 2 else None


def _replicate(sample: Sample, generator: random.Random) -> Mapping[str, float]:
    return {
        name: generator.choice(sample.replicates[name]) if sample.replicates.get(name) else value
        for name, value in sample.values.items()
    }


def scatter_ratio(first: str, second: str) -> Callable[[Draw], float | None]:
    """How far one value lies off its power law in x, over how far another does.

    Both are standard deviations of the logarithm around the line through log x: 2 means that what x does not
    explain moves the first value twice as much as the second.
    """

    def statistic(draw: Draw) -> float | None:
        one, other = _scatter(draw, first), _scatter(draw, second)
        return one / other if one is not None and other else None

    return statistic


def linearity(name: str) -> Callable[[Draw], float | None]:
    """The squared correlation of a value with x."""

    def statistic(draw: Draw) -> float | None:
        xs, ys = [x for x, _ in draw], [values[name] for _, values in draw]
        if len(set(xs)) < 3 or len(set(ys)) < 2:
            return None
        return correlation(xs, ys) ** 2

    return statistic


def _scatter(draw: Draw, name: str) -> float | None:
    xs = [math.log(x) for x, _ in draw]
    ys = [math.log(values[name]) for _, values in draw]
    if len(set(xs)) < 3:
        return None
    slope, intercept = linear_regression(xs, ys)
    return pstdev(y - (intercept + slope * x) for x, y in zip(xs, ys, strict=True)) or None
