"""Statements that data can support or contradict, and the test of each.

A statement is about a number: a share, a slope, a ratio. The number comes with a 95 % interval over the
models that were measured: the exact one of a median where each model has such a number, a bootstrap (also
over the repetitions within each) where it takes all models together. The verdict follows from the interval
alone: when all of it is on the statement's side it is supported, when none of it is it is contradicted, and
everything else is not enough data. So is everything with fewer than six models, in which chance alone would
agree too often. A statement may be false on one device and true on another.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import correlation, fmean, linear_regression, median, pstdev
from typing import Literal

from toolkit.analysis.statistics import Interval, expanded_interval, median_interval

Verdict = Literal["supported", "contradicted", "not enough data"]

_RESAMPLES = 2000
# All of five samples are on one side of their median in one case of 16, all of six in one of 32.
FEWEST = 6


@dataclass(frozen=True)
class Sample:
    """One measured thing in a test.

    Attributes:
        name: what it is one of, for people. Samples of one name are one thing that was measured several
            times, and count once.
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
class Middle:
    """The median of a number that each sample has by itself."""

    of: Callable[[Mapping[str, float]], float]

    def __call__(self, draw: Draw) -> float | None:
        """The number of a draw; None of an empty one."""
        return median(self.of(values) for _, values in draw) if draw else None


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
    names: tuple[str, ...]
    statistic: Callable[[Draw], float | None]
    limit: float
    above: bool
    effect: Callable[[float], str]
    unit: str = ""
    of: str = "models"

    def test(self, samples: Sequence[Sample], where: str, published: Sequence[Sample] = ()) -> Finding:
        """The verdict on some samples, and on the published ones beside it."""
        usable = _once_each(one for one in samples if all(name in one.values for name in self.names))
        said = self.test(published, "published").summary if published else None
        rows = tuple(dict.fromkeys(row for one in usable for row in one.rows))
        value = self.statistic([(one.x, one.values) for one in usable]) if usable else None
        interval = None
        if value is not None and len(usable) >= FEWEST:
            interval = interval_of(usable, self.statistic)
        if value is None or interval is None:
            why = f"{len(usable)} of the {FEWEST} {self.of} that the test needs at least"
            if len(usable) >= FEWEST:
                why = f"the {self.of} are too much alike for the test"
            effect = "-" if value is None else self.effect(value) + self.unit
            return Finding(self.text, self.source, where, "not enough data", effect, why, rows, said)
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


def interval_of(samples: Sequence[Sample], statistic: Callable[[Draw], float | None]) -> Interval | None:
    """The 95 % interval of a number of all samples; None where it cannot be computed.

    Unless each sample has the number by itself, samples are drawn with replacement, and of each drawn one a
    replicate of its values.
    """
    if isinstance(statistic, Middle):
        return median_interval([statistic.of(one.values) for one in samples])
    generator = random.Random(f"{len(samples)} {samples[0].name}")
    drawn = []
    for _ in range(_RESAMPLES):
        some = generator.choices(samples, k=len(samples))
        number = statistic([(one.x, _replicate(one, generator)) for one in some])
        if number is not None:
            drawn.append(number)
    return expanded_interval(drawn, len(samples)) if len(drawn) > _RESAMPLES // 2 else None


def _once_each(samples: Iterable[Sample]) -> list[Sample]:
    """Samples of one name as one, by the means of what they have: they are no independent evidence."""
    by_name: dict[str, list[Sample]] = {}
    for one in samples:
        by_name.setdefault(one.name, []).append(one)
    return [some[0] if len(some) == 1 else _mean(some) for some in by_name.values()]


def _mean(samples: Sequence[Sample]) -> Sample:
    values, replicates = ([getattr(one, part) for one in samples] for part in ("values", "replicates"))
    shared = [name for name in values[0] if all(name in one for one in values)]
    return Sample(
        name=samples[0].name,
        x=fmean(one.x for one in samples),
        values={name: fmean(one[name] for one in values) for name in shared},
        replicates={
            name: [fmean(drawn) for drawn in zip(*(one[name] for one in replicates), strict=False)]
            for name in shared
            if all(one.get(name) for one in replicates)
        },
        rows=tuple(dict.fromkeys(row for one in samples for row in one.rows)),
    )


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
