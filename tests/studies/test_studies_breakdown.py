"""Shares of a model's parts, on the survey's own numbers and on made ones."""

from __future__ import annotations

import pytest

from toolkit.analysis.findings import Sample
from toolkit.profiling.breakdown import PARTS as MEASURED_PARTS
from toolkit.store.measurements import VOCABULARY
from toolkit.studies.kinds.latency_breakdown import PARTS, PHASES, STATEMENTS, published_samples

MORE_IN_DECODE, MOST = STATEMENTS


def test_its_parts_are_those_that_are_measured() -> None:
    assert tuple(PARTS) == MEASURED_PARTS
    assert all(f"{phase}_{part}_percent" in VOCABULARY for phase in PHASES for part in PARTS)


def test_the_papers_text_is_not_what_its_figure_says() -> None:
    by_model = {sample.name: sample.values for sample in published_samples()}
    # The text has attention's share rise for Qwen1.5-0.5B; the figure gives 0.405 and 0.383.
    qwen = by_model["Qwen1.5-0.5B"]
    assert (qwen["prefill_attention"], qwen["decode_attention"]) == pytest.approx((40.5, 38.3), abs=0.1)
    assert MORE_IN_DECODE.test(published_samples(), "published").verdict == "not enough data"
    most = MOST.test(published_samples(), "published")
    assert most.verdict == "not enough data" and "2 of the 6 models" in most.why
    assert most.effect.endswith(" % of a generated token's time")


@pytest.mark.parametrize(("decode", "verdict"), [(60.0, "supported"), (20.0, "contradicted")])
def test_shares_are_compared_between_the_phases(decode: float, verdict: str) -> None:
    own = [
        Sample(
            name=f"m{number}",
            x=1.0,
            values={
                "prefill_attention": 40.0 + number,
                "decode_attention": decode + number,
                "decode_feed_forward": 10.0,
            },
        )
        for number in range(6)
    ]
    assert MORE_IN_DECODE.test(own, "here").verdict == verdict
    assert MOST.test(own, "here").verdict == verdict
