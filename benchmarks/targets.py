"""The figures that this project has promised, checked against every run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Literal

from benchmarks.results import Results, Row
from benchmarks.statistics import Ratio, decode_rates, prefill_rates, ratio

Rate = Literal["prefill", "decode"]
Cost = Literal["load", "memory", "files", "conversion", "conversion memory"]


@dataclass(frozen=True)
class Target:
    """Ours over a peer's rate must reach ``least``."""

    metric: Rate
    peer: str
    least: float


@dataclass(frozen=True)
class Limit:
    """A cost of ours, in ``unit``, must not exceed ``most``; ``divisor`` makes the unit out of the row's."""

    metric: Cost
    most: float
    unit: str
    divisor: float


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured; ``ratio`` is None when one side has no figures."""

    target: Target
    ratio: Ratio | None

    @property
    def met(self) -> bool:
        """Whether the ratio of medians reaches the target."""
        return self.ratio is not None and self.ratio.of_medians >= self.target.least


@dataclass(frozen=True)
class LimitVerdict:
    """A limit and what was measured, in its unit; None when we have no figure."""

    limit: Limit
    measured: float | None

    @property
    def met(self) -> bool:
        """Whether the cost is within the limit."""
        return self.measured is not None and self.measured <= self.limit.most


# By the engine of our row.
TARGETS: Mapping[str, tuple[Target, ...]] = {
    "onnxruntime": (
        Target("decode", "llama.cpp-q4_0", 1.5),
        Target("decode", "genai-same-artifact-as-shipped", 2.0),
        Target("prefill", "llama.cpp-q4_0", 1.2),
    ),
    "executorch": (
        Target("decode", "executorch-optimum", 1.3),
        Target("prefill", "executorch-optimum", 2.0),
    ),
}
LIMITS: Mapping[str, tuple[Limit, ...]] = {
    "executorch": (
        Limit("conversion", 120, "s", 1),
        Limit("conversion memory", 2000, "MB", 1e6),
        Limit("files", 100, "MB", 1e6),
    ),
}

# What a row costs; None where it has no figure. The conversion is the first that is listed: ours without
# anything cached.
COSTS: Mapping[Cost, Callable[[Row], float | None]] = {
    "load": lambda row: _median([entry.sample.load_ns for entry in row.rounds]),
    "memory": lambda row: _median([entry.sample.engine_rss_bytes for entry in row.rounds]),
    "files": lambda row: row.files_bytes,
    "conversion": lambda row: row.conversions[0].seconds if row.conversions else None,
    "conversion memory": lambda row: row.conversions[0].peak_rss_bytes if row.conversions else None,
}


def leading_rows(results: Results) -> list[Row]:
    """Our first row on each engine: the ones that are compared and held against targets."""
    leading: dict[str, Row] = {}
    for row in results.rows:
        if row.name.startswith("ours-"):
            leading.setdefault(row.engine, row)
    return list(leading.values())


def opponents(results: Results, ours: Row) -> list[Row]:
    """Rows with figures that one of ours is compared with.

    The first of all is compared with everything, those on further engines with what runs on the same engine.
    """
    first = leading_rows(results)[0]
    return [
        row
        for row in results.rows
        if row.name != ours.name and row.rounds and (ours.name == first.name or row.engine == ours.engine)
    ]


def compare(results: Results, ours: Row, theirs: Row, metric: Rate) -> Ratio | None:
    """Ratio over the rounds that both finished; None when there is none."""
    mine, other = (_by_round(results, row, metric) for row in (ours, theirs))
    common = sorted(mine.keys() & other.keys())
    return ratio([mine[i] for i in common], [other[i] for i in common]) if common else None


def compare_cost(ours: Row, theirs: Row, metric: Cost) -> float | None:
    """Ours over theirs: below 1 is less."""
    mine, other = (COSTS[metric](row) for row in (ours, theirs))
    return mine / other if mine is not None and other else None


def check_targets(results: Results, ours: Row) -> list[Verdict]:
    """Every target of one of our rows."""
    verdicts = []
    for target in TARGETS.get(ours.engine, ()):
        theirs = results.row(target.peer)
        verdicts.append(Verdict(target, compare(results, ours, theirs, target.metric) if theirs else None))
    return verdicts


def check_limits(ours: Row) -> list[LimitVerdict]:
    """Every limit of one of our rows."""
    verdicts = []
    for limit in LIMITS.get(ours.engine, ()):
        cost = COSTS[limit.metric](ours)
        verdicts.append(LimitVerdict(limit, None if cost is None else cost / limit.divisor))
    return verdicts


def _by_round(results: Results, row: Row, metric: Rate) -> dict[int, list[float]]:
    return {
        entry.round: prefill_rates(entry.sample, results.prompt_tokens)
        if metric == "prefill"
        else decode_rates(entry.sample)
        for entry in row.rounds
    }


def _median(values: list[int]) -> float | None:
    return median(values) if values else None
