from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.analysis.metrics import (
    agreement,
    decode_tokens_per_second,
    median,
    prefill_tokens_per_second,
    sample_stdev,
    ttft_ns,
)


def test_prefill_counts_prompt_tokens_only() -> None:
    assert prefill_tokens_per_second(512, 2_000_000_000) == 256


def test_decode_counts_timed_steps_not_generated_tokens() -> None:
    # Three generated tokens: the first came with the prefill.
    assert decode_tokens_per_second([10_000_000, 30_000_000]) == 50
    assert decode_tokens_per_second([]) is None


def test_decode_is_the_rate_of_the_whole_not_the_mean_of_rates() -> None:
    mean_of_rates = (1e9 / 10_000_000 + 1e9 / 30_000_000) / 2
    assert decode_tokens_per_second([10_000_000, 30_000_000]) != pytest.approx(mean_of_rates)


@given(st.lists(st.integers(1, 10**12), min_size=1))
def test_decode_times_time_is_steps(steps: list[int]) -> None:
    rate = decode_tokens_per_second(steps)
    assert rate is not None
    assert rate * sum(steps) / 1e9 == pytest.approx(len(steps))


def test_ttft_is_the_prefill() -> None:
    assert ttft_ns(123) == 123


def test_median_and_stdev() -> None:
    assert median([3, 1, 2]) == 2
    assert median([1, 2, 3, 10]) == 2.5
    assert median([]) is None
    assert sample_stdev([1, 3]) == pytest.approx(2**0.5)
    assert sample_stdev([1]) is None


@pytest.mark.parametrize(
    ("reference", "produced", "matched"),
    [([1, 2, 3], [1, 2, 3], 3), ([1, 2, 3], [1, 9, 3], 2), ([1, 2], [1], 1), ([1], [2], 0), ([], [1], 0)],
)
def test_agreement(reference: list[int], produced: list[int], matched: int) -> None:
    assert agreement(reference, produced) == matched
