"""What the numbers mean: pure functions over nanoseconds, one definition each (docs/protocol.md)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from toolkit.store.measurements import tokens_per_second


def prefill_tokens_per_second(prompt_tokens: int, prefill_ns: int) -> float:
    """Prompt tokens / prefill time, in tokens per second.

    The prefill ends when the first generated token is known. Tokens that fill the KV cache to
    ``depth`` before it are neither counted nor timed; nor is tokenizing.
    """
    return tokens_per_second(prompt_tokens, prefill_ns)


def decode_tokens_per_second(decode_ns: Sequence[int]) -> float | None:
    """Timed decode steps / the sum of their time, in tokens per second; None when there are none.

    The first generated token belongs to prefill, so ``generate_tokens`` give one step fewer.
    """
    return tokens_per_second(len(decode_ns), sum(decode_ns)) if decode_ns else None


def ttft_ns(prefill_ns: int) -> int:
    """Time to first token with the model loaded and token ids at hand: the prefill's time, in ns.

    Tokenizing and loading are left out; the model's load time is a figure of its own.
    """
    return prefill_ns


def median(values: Sequence[float]) -> float | None:
    """The middle value, or the mean of the middle two; None of nothing."""
    return statistics.median(values) if values else None


def sample_stdev(values: Sequence[float]) -> float | None:
    """Sample standard deviation (divides by n - 1); None of fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def agreement(reference: Sequence[int], produced: Sequence[int]) -> int:
    """At how many positions two token sequences are equal."""
    return sum(expected == got for expected, got in zip(reference, produced, strict=False))
