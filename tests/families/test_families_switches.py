"""Switches of configs that once ended in a fault or were refused, on both engines."""

from __future__ import annotations

from pathlib import Path

import pytest
from conversions_of_families import ENGINES, contents_or_refusal, outcome

from toolkit.settings import Settings

SWITCHES = {
    "a tied head that is registered before the embedding": "camembert-decoder",
    "positions looked up by an index": "whisper-decoder",
    "an attention without a number, which layers share": "zamba",
    "a gate with a slope below zero": "llama-leaky_relu",
    "a gate that is cut off": "llama-gelu_10",
    "a gate of tanh and softplus": "llama-mish",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SWITCHES.values(), ids=SWITCHES.keys())
def test_logits_equal_transformers(name: str, engine: str, tmp_path: Path, settings: Settings) -> None:
    found = outcome(name, engine, tmp_path, settings)
    assert found.outcome == "converts", found


def test_a_mean_over_another_dimension_than_the_last(tmp_path: Path, settings: Settings) -> None:
    found = outcome("gemma3n_text", "executorch", tmp_path, settings)
    assert found.outcome == "converts", found


def test_a_list_that_is_shorter_than_the_layers_is_refused(tmp_path: Path, settings: Settings) -> None:
    found = outcome("smollm3-fewlayers", "onnxruntime", tmp_path, settings)
    assert found.outcome == "refused" and "does not make a valid config" in found.reason


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_part_without_numbers_is_refused(engine: str, tmp_path: Path, settings: Settings) -> None:
    found = outcome("afmoe-noshared", engine, tmp_path, settings)
    assert found.outcome == "refused"
    assert "shared_experts" in found.reason and "has a size of 0" in found.reason


def test_a_refused_trace_prints_nothing_but_its_reason(
    tmp_path: Path, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    # Its experts take their tokens in a loop.
    said = contents_or_refusal("dbrx", "onnxruntime", tmp_path, settings)
    assert "cannot be traced" in str(said)
    assert "def forward" not in capfd.readouterr().err
