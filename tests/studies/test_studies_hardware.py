"""Devices side by side, and what is wrong with the published curves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_points import DEVICE, point

from toolkit.report.configurations import shared_words
from toolkit.studies.data import Point
from toolkit.studies.kinds.hardware import (
    _PREFILL,
    advantages,
    published_advantages,
    same_curve,
    steps_divided,
)

SLOW = replace(DEVICE, key="2" * 64, serial="SLOW", model="Old phone")


def points(prefill: float, decode: float) -> list[Point]:
    """A phone, and one that takes so many times as long."""
    return [
        point(
            "BLOOM-1B1",
            device=device,
            conditions={"prompt_tokens": tokens},
            ttft_ms=tokens * (prefill if device is SLOW else 1.0),
            decode_ms=30 * (decode if device is SLOW else 1.0),
        )
        for device in (DEVICE, SLOW)
        for tokens in (10, 20, 30, 40, 50, 60)
    ]


@pytest.mark.parametrize(
    ("prefill", "decode", "verdict"), [(4.0, 2.0, "supported"), (2.0, 4.0, "contradicted")]
)
def test_the_faster_device_is_further_ahead_in_one_of_the_two(
    prefill: float, decode: float, verdict: str
) -> None:
    fast, slow, found = advantages(points(prefill, decode))
    assert (fast, slow, len(found)) == (DEVICE.key, SLOW.key, 6)
    assert found[0].values == pytest.approx({"prefill": prefill, "decode": decode})
    judged = _PREFILL.test(found, "here", published_advantages())
    assert judged.verdict == verdict and judged.value == pytest.approx(prefill / decode)
    assert judged.published is not None and judged.published.startswith("supported")


def test_a_caption_says_of_no_length_that_it_is_that_of_all() -> None:
    found = [replace(one, key=replace(one.key, settings=(("reserve", "run"),))) for one in points(2.0, 2.0)]
    assert shared_words(one.workload for one in found) == (
        "50 generated, depth 0, context 2048, 4 threads, 1 warm-up, batch 1, power unknown, gate unknown, "
        "reserve run, protocol 2"
    )
    cold = replace(found[0], key=replace(found[0].key, settings=(("page_cache", "cold"), ("reserve", "run"))))
    words = shared_words([found[0].workload, cold.workload])
    assert words.startswith("10 prompt tokens, 50 generated") and "reserve run" in words
    assert "page_cache" not in words


def test_one_device_is_no_comparison() -> None:
    _, _, found = advantages([one for one in points(2.0, 2.0) if one.device is DEVICE])
    assert found == [] and _PREFILL.test(found, "here").verdict == "not enough data"


def test_the_published_jetson_is_as_many_times_ahead_as_its_text_says() -> None:
    ratios = {sample.x: sample.values["prefill"] for sample in published_advantages()}
    assert ratios[11] == pytest.approx(11.8, abs=0.1) and ratios[49] == pytest.approx(30, abs=1)


def test_the_jetsons_curves_are_those_of_another_model() -> None:
    found = same_curve()
    assert found.verdict == "contradicted" and found.value == pytest.approx(0, abs=0.02)
    assert "81 points" in found.effect, "39 of the prefill and 42 of the decode"


def test_the_meizus_rise_is_a_division_by_one_step_too_many() -> None:
    found = steps_divided()
    assert found.verdict == "contradicted"
    assert found.value is not None and found.value < 0.01
