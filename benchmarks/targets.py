"""The figures that this project has promised, checked against every run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.results import Results, Row
from benchmarks.statistics import Ratio, decode_rates, prefill_rates, ratio


@dataclass(frozen=True)
class Target:
    """Ours over a peer's rate must reach ``least``."""

    metric: Literal["prefill", "decode"]
    peer: str
    least: float


@dataclass(frozen=True)
class Verdict:
    """A target and what was measured; ``ratio`` is None when one side has no figures."""

    target: Target
    ratio: Ratio | None

    @property
    def met(self) -> bool:
        """Whether the ratio of medians reaches the target."""
        return self.ratio is not None and self.ratio.of_medians >= self.target.least


TARGETS = (
    Target("decode", "llama.cpp-q4_0", 1.5),
    Target("decode", "genai-same-artifact-as-shipped", 2.0),
    Target("prefill", "llama.cpp-q4_0", 1.2),
)


def compare(results: Results, ours: Row, theirs: Row, metric: Literal["prefill", "decode"]) -> Ratio | None:
    """Ratio over the rounds that both finished; None when there is none."""
    mine, other = (_by_round(results, row, metric) for row in (ours, theirs))
    common = sorted(mine.keys() & other.keys())
    return ratio([mine[i] for i in common], [other[i] for i in common]) if common else None


def check_targets(results: Results, ours: Row) -> list[Verdict]:
    """Every target against one of our rows."""
    verdicts = []
    for target in TARGETS:
        theirs = results.row(target.peer)
        verdicts.append(Verdict(target, compare(results, ours, theirs, target.metric) if theirs else None))
    return verdicts


def _by_round(results: Results, row: Row, metric: Literal["prefill", "decode"]) -> dict[int, list[float]]:
    return {
        entry.round: prefill_rates(entry.sample, results.prompt_tokens)
        if metric == "prefill"
        else decode_rates(entry.sample)
        for entry in row.rounds
    }
