"""Findings over many models, on made points whose answers are known."""

from __future__ import annotations

import pytest
from made_points import point

from toolkit.analysis.noise import NoiseFloor
from toolkit.studies import overview, pairs
from toolkit.studies.data import samples

QUIET = NoiseFloor(0.02, 10, "conditions")
LOUD = NoiseFloor(0.8, 10, "conditions")
PUBLISHED = overview.published_samples({"ttft_ms": "first_token_ms_prompt50"})


def larger_but_faster(small: float, large: float, noise: NoiseFloor | None) -> str:
    points = [point("SmolLM-135M", ttft_ms=small), point("SmolLM-360M", ttft_ms=large)]
    found = pairs.larger_but_faster(samples(points, ("ttft_ms",)), "ttft_ms", noise, "here", PUBLISHED)
    assert found.published is not None and "Pythia-160M has 20.7%" in found.published
    return found.verdict


@pytest.mark.parametrize(
    ("small", "large", "noise", "verdict"),
    [
        (30.0, 20.0, QUIET, "supported"),
        (20.0, 30.0, QUIET, "contradicted"),
        (30.0, 20.0, LOUD, "not enough data"),
        (30.0, 20.0, None, "not enough data"),
        (20.2, 20.0, QUIET, "not enough data"),
    ],
)
def test_a_larger_model_is_faster_only_beyond_noise(
    small: float, large: float, noise: NoiseFloor | None, verdict: str
) -> None:
    assert larger_but_faster(small, large, noise) == verdict


def test_equal_sizes_are_no_example_of_a_larger_model() -> None:
    points = [point("Phi-1", ttft_ms=74.3), point("Phi-1.5", ttft_ms=65.9)]
    found = pairs.larger_but_faster(samples(points, ("ttft_ms",)), "ttft_ms", QUIET, "here")
    assert found.verdict == "not enough data" and "10 %" in found.why


def test_equal_architectures_show_the_noise_floor() -> None:
    noise = {"ttft_ms": QUIET, "decode_ms": QUIET}
    near = [point("Phi-1", ttft_ms=50.0, decode_ms=30.0), point("Phi-1.5", ttft_ms=50.5, decode_ms=30.1)]
    assert pairs.equal_architectures(near, noise, "here").verdict == "supported"
    for unknown in (dict.fromkeys(noise), dict.fromkeys(noise, LOUD)):
        assert pairs.equal_architectures(near, unknown, "here").verdict == "not enough data"
    # The survey's own figures of these two.
    far = [point("Phi-1", ttft_ms=74.31, decode_ms=34.9), point("Phi-1.5", ttft_ms=65.9, decode_ms=28.3)]
    found = pairs.equal_architectures(far, noise, "here")
    assert found.verdict == "contradicted" and found.value == pytest.approx(34.9 / 28.3 - 1)
    assert found.rows == (*far[0].run_ids, *far[1].run_ids)
    unlike = [point("SmolLM-135M", ttft_ms=1.0), point("Pythia-160M", ttft_ms=1.0)]
    assert pairs.equal_architectures(unlike, noise, "here").verdict == "not enough data"


def test_counting_a_tied_vocabulary_twice_turns_the_order() -> None:
    # Facts of the configs: 464 and 494 million unique parameters, 620 and 630 stored.
    turned = [point("Qwen1.5-0.5B"), point("BLOOM-560M"), point("Qwen2-0.5B")]
    found = pairs.counting(turned)
    assert found.verdict in ("contradicted", "supported")
    said = {(one.model, one.artifact.unique_parameters, one.artifact.stored_parameters) for one in turned}
    turns = sum((a[1] - b[1]) * (a[2] - b[2]) < 0 for a in said for b in said if a[0] < b[0])
    assert (found.verdict == "contradicted") == (turns > 0)
    alike = pairs.counting([point("made-up", parameters=5), point("other", parameters=9)])
    assert alike.verdict == "supported"
    assert alike.rows == ("run-made-up-8da4w g32", "run-other-8da4w g32")
    assert pairs.counting([point("Qwen2-0.5B")]).verdict == "not enough data"
