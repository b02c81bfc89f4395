"""What fewer bits bring, on made points and on the survey's own."""

from __future__ import annotations

import pytest
from made_points import point

from toolkit.studies.data import Point
from toolkit.studies.kinds.quantization import (
    _REGULAR,
    STATEMENTS,
    published_savings,
    published_widths,
    savings,
)

MORE_IN_DECODE, SHRINKS = STATEMENTS
PROMPTS = (8, 16, 24, 32, 40, 50)


def points(prefill: dict[int, float], decode: float) -> list[Point]:
    """fp16 at 100 ms, and a scheme that saves so much of it."""
    made = []
    for tokens in PROMPTS:
        conditions = {"prompt_tokens": tokens}
        made.append(
            point("Phi-1.5", quantization="fp16", conditions=conditions, ttft_ms=100.0, decode_ms=100.0)
        )
        made.append(
            point(
                "Phi-1.5",
                quantization="8da4w g32",
                conditions=conditions,
                ttft_ms=100 * (1 - prefill[tokens]),
                decode_ms=100 * (1 - decode),
            )
        )
    return made


def test_savings_are_held_against_floats_of_the_same_prompt() -> None:
    base, found = savings(points(dict.fromkeys(PROMPTS, 0.25), 0.5))
    assert base == "fp16" and [sample.x for sample in found] == list(PROMPTS)
    assert all(sample.values == pytest.approx({"prefill": 0.25, "decode": 0.5}) for sample in found)
    assert savings([point("Phi-1.5", ttft_ms=1.0, decode_ms=1.0)]) == ("", [])


@pytest.mark.parametrize(
    ("prefill", "decode", "verdict"), [(0.2, 0.5, "supported"), (0.5, 0.2, "contradicted")]
)
def test_decode_gains_more_than_prefill(prefill: float, decode: float, verdict: str) -> None:
    _, found = savings(points(dict.fromkeys(PROMPTS, prefill), decode))
    assert MORE_IN_DECODE.test(found, "here").verdict == verdict


def test_the_gain_in_the_prefill_shrinks_or_grows() -> None:
    falling = {8: 0.6, 16: 0.5, 24: 0.4, 32: 0.3, 40: 0.2, 50: 0.1}
    _, found = savings(points(falling, 0.5))
    assert SHRINKS.test(found, "here").verdict == "supported"
    _, found = savings(points({tokens: 0.7 - saved for tokens, saved in falling.items()}, 0.5))
    assert SHRINKS.test(found, "here").verdict == "contradicted"


def test_without_irregular_widths_nothing_is_said_about_them() -> None:
    _, found = savings(points(dict.fromkeys(PROMPTS, 0.25), 0.5))
    judged = _REGULAR.test(found, "here", published_widths())
    assert judged.verdict == "not enough data"
    assert judged.published is not None and judged.published.startswith("supported")


def test_the_papers_reductions_are_found_again() -> None:
    by_bits: dict[float, list[float]] = {}
    for sample in published_savings():
        by_bits.setdefault(sample.values["bits"], []).append(sample.values["decode"])
    # Means over the lengths 8 to 50, read from the same figure by other hands: 36 % and 52 %.
    means = {bits: sum(values) / len(values) for bits, values in by_bits.items()}
    assert means[8] == pytest.approx(0.36, abs=0.02)
    assert means[4] == pytest.approx(0.52, abs=0.02)
    assert MORE_IN_DECODE.test(published_savings(), "published").verdict == "supported"


def test_what_engines_and_versions_differ_by_is_not_saved_by_quantization() -> None:
    made = points(dict.fromkeys(PROMPTS, 0.25), 0.5)
    for engine, version in (("executorch", "1.5.1"), ("onnxruntime", "1.30.0")):
        for scheme, share in (("fp16", 1.0), ("8da4w g32", 0.9)):
            for tokens in PROMPTS:
                conditions = {"prompt_tokens": tokens, "engine": engine, "engine_version": version}
                times = {"ttft_ms": 700 * share, "decode_ms": 700 * share}
                made.append(point("Phi-1.5", quantization=scheme, conditions=conditions, **times))
    _, found = savings(made)
    assert {round(sample.values["decode"], 6) for sample in found} == {0.5, 0.1}
