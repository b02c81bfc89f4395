"""Medians, and ratios of engines that took turns on the same machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.samples import ProfileSample
from toolkit.store.measurements import tokens_per_second


@dataclass(frozen=True)
class Summary:
    """Median and range of a list of samples."""

    median: float
    low: float
    high: float
    samples: int


@dataclass(frozen=True)
class Ratio:
    """Ours over a peer's, for figures of which more is better.

    Attributes:
        of_medians: the median of all our samples over the median of all the peer's.
        low: the smallest ratio of medians within one round.
        high: the largest; neighbours in time share the machine's mood, so the range of these shows how
            much of ``of_medians`` is noise.
    """

    of_medians: float
    low: float
    high: float


def prefill_rates(sample: ProfileSample, prompt_tokens: int) -> list[float]:
    """Prompt tokens per second, one rate per measured repetition."""
    return [tokens_per_second(prompt_tokens, repetition.prefill_ns) for repetition in sample.measured]


def decode_rates(sample: ProfileSample) -> list[float]:
    """Timed steps over their time, tokens per second, one rate per measured repetition."""
    return [tokens_per_second(len(one.decode_ns), sum(one.decode_ns)) for one in sample.measured]


def summarize(values: Sequence[float]) -> Summary:
    """Median, extremes and count.

    Raises:
        ValueError: no values.
    """
    return Summary(median(values), min(values), max(values), len(values))


def ratio(ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]]) -> Ratio:
    """Compare two engines' samples, given round by round.

    Raises:
        ValueError: no rounds, or another number of them.
    """
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"{len(ours)} rounds against {len(theirs)}")
    of_medians = median(value for values in ours for value in values) / median(
        value for values in theirs for value in values
    )
    paired = [median(mine) / median(other) for mine, other in zip(ours, theirs, strict=True)]
    return Ratio(of_medians, min(paired), max(paired))
