"""Shares of a model's parts, on the survey's own numbers and on made ones."""

from __future__ import annotations

import pytest

from toolkit.analysis.findings import Sample
from toolkit.engines.trace import OPERATOR_KINDS
from toolkit.profiling.breakdown import PARTS as MEASURED_PARTS
from toolkit.store.measurements import OPERATOR_NAMES, VOCABULARY
from toolkit.studies.kinds.latency_breakdown import (
    PARTS,
    PHASES,
    STATEMENTS,
    published_products,
    published_samples,
)

MORE_IN_DECODE, MOST, PRODUCTS = STATEMENTS


def test_its_parts_are_those_that_are_measured() -> None:
    assert tuple(PARTS) == MEASURED_PARTS
    assert all(f"{phase}_{part}_percent" in VOCABULARY for phase in PHASES for part in PARTS)
    assert tuple(OPERATOR_NAMES) == OPERATOR_KINDS
    assert all(
        f"{phase}_operators_{kind}_percent" in VOCABULARY for phase in PHASES for kind in OPERATOR_NAMES
    )


def test_the_papers_text_is_not_what_its_figure_says() -> None:
    by_model = {sample.name: sample.values for sample in published_samples()}
    # The text has attention's share rise for Qwen1.5-0.5B; the figure gives 0.405 and 0.383.
    qwen = by_model["Qwen1.5-0.5B"]
    assert (qwen["prefill_attention"], qwen["decode_attention"]) == pytest.approx((40.5, 38.3), abs=0.1)
    assert MORE_IN_DECODE.test(published_samples(), "published").verdict == "not enough data"
    most = MOST.test(published_samples(), "published")
    assert most.verdict == "not enough data" and "2 of the 6 models" in most.why
    assert most.effect.endswith(" % of a generated token's time")


def test_the_papers_figure_has_fewer_matrix_products_than_its_text() -> None:
    by_model = {sample.name: sample.values for sample in published_samples()}
    # Fig. 10b: mul_mat_vec_q 74.97 % and gemm 1.7 % of Qwen1.5-0.5B's decoding; every bar is the whole phase.
    assert by_model["Qwen1.5-0.5B"]["decode_operators_products"] == pytest.approx(76.67)
    for values in by_model.values():
        for phase in PHASES:
            bar = [value for name, value in values.items() if name.startswith(f"{phase}_operators_")]
            assert len(bar) == 5 and sum(bar) == pytest.approx(100, abs=0.2)
    found = published_products()
    assert found.verdict == "contradicted" and found.effect.startswith("75.0 to 79.3 %")
    said = PRODUCTS.test(published_samples(), "published")
    assert said.effect.startswith("79 %"), "between 76.7 and 80.9"


@pytest.mark.parametrize(("share", "verdict"), [(75.0, "supported"), (40.0, "contradicted")])
def test_matrix_products_are_held_against_70_percent(share: float, verdict: str) -> None:
    own = [
        Sample(name=f"m{number}", x=1.0, values={"decode_operators_products": share + number})
        for number in range(6)
    ]
    assert PRODUCTS.test(own, "here").verdict == verdict


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
