"""What rows of llama-bench say twice must agree: a figure and the samples that it was made of."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from toolkit.store.measurements import tokens_per_second

# Builds print six digits, or six decimals, of a rate; averages of nanoseconds are cut to whole ones.
_RELATIVE = 1e-3
_ABSOLUTE = 1e-5


def contradiction(
    *,
    tokens: int,
    samples_ns: Sequence[int],
    samples_ts: Sequence[float] | None,
    avg_ns: float | None,
    avg_ts: float | None,
) -> str | None:
    """What of a row contradicts its samples, with both values; None where nothing does.

    Args:
        tokens: that each sample timed.
        samples_ns: nanoseconds of each.
        samples_ts: tokens per second of each, as the row has them; None where it has none.
        avg_ns: likewise.
        avg_ts: likewise.
    """
    rates = [tokens_per_second(tokens, ns) for ns in samples_ns]
    if samples_ts is not None and len(samples_ts) != len(samples_ns):
        return f"samples_ts has {len(samples_ts)} values, samples_ns {len(samples_ns)}"
    pairs = _pairs(rates, samples_ts, avg_ns, avg_ts, statistics.fmean(samples_ns))
    for name, said, source, found in pairs:
        if not math.isclose(said, found, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE):
            return f"{name} is {said:.10g}, {source} {found:.10g}"
    return None


def _pairs(
    rates: Sequence[float],
    samples_ts: Sequence[float] | None,
    avg_ns: float | None,
    avg_ts: float | None,
    mean_ns: float,
) -> Iterator[tuple[str, float, str, float]]:
    """A figure's name and value, and what it should be by what."""
    for index, (said, rate) in enumerate(zip(samples_ts or (), rates, strict=False)):
        yield f"samples_ts[{index}]", said, "tokens and samples_ns give", rate
    if avg_ns is not None:
        yield "avg_ns", avg_ns, "the mean of samples_ns is", mean_ns
    if avg_ts is not None:
        yield "avg_ts", avg_ts, "the mean by samples_ns is", statistics.fmean(rates)
