"""Loading cold and warm, and memory up to a model's maximum."""

from __future__ import annotations

from made_points import point

from toolkit.models.catalogue.catalogue import shipped
from toolkit.studies.kinds.cold_start import _COLDER, _pairs
from toolkit.studies.kinds.memory_context import contexts


def test_cold_and_warm_of_the_same_artifact_are_a_pair() -> None:
    points = [
        point(model, conditions={"settings": (("page_cache", state),)}, load_ms=ms)
        for model, state, ms in (
            ("SmolLM-135M", "cold", 400.0),
            ("SmolLM-135M", "warm", 100.0),
            ("SmolLM-360M", "cold", 900.0),
        )
    ]
    ((cold, warm),) = _pairs(points)
    assert (cold.numbers["load_ms"].median, warm.numbers["load_ms"].median) == (400.0, 100.0)
    assert _COLDER.test([], "here").verdict == "not enough data"


def test_contexts_go_up_to_the_models_maximum_or_as_far_as_memory_goes() -> None:
    qwen, smol = shipped()["Qwen1.5-0.5B"], shipped()["SmolLM-135M"]
    assert contexts(qwen, ["8da4w"], None) == [512, 2048, 8192, 32768]
    assert contexts(smol, ["8da4w"], None) == [512, 2048]
    assert contexts(None, ["8da4w"], None) == [512, 2048, 4096]
    # 32768 tokens of Qwen1.5-0.5B take 6.4 GB of keys and values in floats.
    assert contexts(qwen, ["8da4w"], 5e9) == [512, 2048, 8192]
