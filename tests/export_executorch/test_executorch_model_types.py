"""Every supported model type against transformers itself, with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from transformers_reference import MODEL_TYPES, PREFILL, check_prefill_and_decode

from toolkit.artifact import Artifact
from toolkit.errors import UnsupportedModel
from toolkit.settings import Settings
from toolkit.sources import resolve

if TYPE_CHECKING:
    from toolkit.engines.executorch.session import ExecutorchDecoder


def decoder_of(artifact: Artifact) -> ExecutorchDecoder:
    # Not at the top: docs/generate collects these tests, and ExecuTorch takes seconds to import.
    from toolkit.engines.executorch.session import ExecutorchDecoder

    return ExecutorchDecoder(artifact.path / "model.pte")


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_fp32_logits_equal_transformers_over_prefill_and_decode(
    model_type: str, convert_model: Callable[..., Artifact], settings: Settings
) -> None:
    source = resolve(f"random:{model_type}-tiny", settings)
    check_prefill_and_decode(source, lambda: decoder_of(convert_model(source)))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_prefill_in_chunks_after_another_text_equals_prefill_at_once(
    model_type: str, convert_model: Callable[..., Artifact]
) -> None:
    artifact = convert_model(f"random:{model_type}-tiny")
    generator = np.random.default_rng(8)
    ids, other = generator.integers(3, artifact.manifest.architecture.vocab_size, (2, PREFILL)).tolist()
    decoder = decoder_of(artifact)
    at_once = decoder.step(ids)
    decoder.reset()
    decoder.step(other)
    decoder.reset()
    for start in range(0, PREFILL, 16):
        in_chunks = decoder.step(ids[start : start + 16])
    torch.testing.assert_close(in_chunks, at_once, atol=1e-3, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("quant", ["8da8w", "8da4w"])
def test_quantized_artifacts_stay_close_to_transformers(
    model_type: str, quant: str, convert_model: Callable[..., Artifact]
) -> None:
    parity = convert_model(f"random:{model_type}-tiny", quant).manifest.parity
    assert parity is not None and parity.passed
    assert parity.max_abs_diff > 1e-3, "a quantized model that equals fp32 is not quantized"


@pytest.mark.parametrize("quant", ["8w", "4w", "mobile-4bit", "mobile-8bit"])
def test_other_schemes_and_presets_convert(quant: str, convert_model: Callable[..., Artifact]) -> None:
    if quant == "4w":
        # One scale per channel is coarse at 4 bits; whether it passes the limit is the model's business.
        artifact = convert_model("random:llama-tiny", quant, parity_check=False)
    else:
        artifact = convert_model("random:llama-tiny", quant)
    assert artifact.manifest.backend.name == "executorch"


def test_all_logits_are_those_of_every_position(convert_model: Callable[..., Artifact]) -> None:
    artifact = convert_model("random:qwen3-tiny", logits="all")
    decoder = decoder_of(artifact)
    ids = [5, 9, 200, 31, 77]
    every = decoder.step(ids)
    assert every.shape[0] == len(ids)
    decoder.reset()
    for index, token in enumerate(ids):
        torch.testing.assert_close(decoder.step([token])[0], every[index], atol=1e-3, rtol=0)


def test_texts_longer_than_one_call_takes_are_cut(
    convert_model: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.random.default_rng(9).integers(3, 500, PREFILL).tolist()
    whole = decoder_of(convert_model("random:llama-tiny")).step(ids)
    monkeypatch.setattr("toolkit.export.executorch.export.LONGEST_CHUNK", 16)
    cut = decoder_of(convert_model("random:llama-tiny", logits="all")).step(ids)
    assert cut.shape[0] == PREFILL
    torch.testing.assert_close(cut[-1:], whole, atol=1e-3, rtol=0)


@pytest.mark.parametrize("asked", [None, 200])
def test_the_program_says_how_long_its_context_is(
    asked: int | None, convert_model: Callable[..., Artifact]
) -> None:
    from executorch.extension.pybindings.portable_lib import _load_for_executorch

    artifact = convert_model("random:llama-tiny", context=asked)
    program = _load_for_executorch(str(artifact.path / "model.pte"))
    assert program.run_method("get_max_context_len", []) == [artifact.manifest.context_length]
    assert artifact.manifest.context_length == (asked or artifact.manifest.architecture.max_positions)


def test_a_text_beyond_the_context_is_refused_by_the_runtime(convert_model: Callable[..., Artifact]) -> None:
    artifact = convert_model("random:llama-tiny", context=32)
    decoder = decoder_of(artifact)
    decoder.step([5] * 32)
    with pytest.raises(RuntimeError, match="Failed to execute method forward"):
        decoder.step([5])


def test_unknown_operator_is_named_with_its_module(
    convert_model: Callable[..., Artifact], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from toolkit.export.executorch import lowering

    known = {name: emitter for name, emitter in lowering._EMITTERS.items() if name != "aten.silu"}
    monkeypatch.setattr(lowering, "_EMITTERS", known)
    with pytest.raises(UnsupportedModel, match=r"aten\.silu \(silu in model\.layers\.0\.mlp\.act_fn\)"):
        convert_model("random:llama-tiny")
    assert list(tmp_path.iterdir()) == []
