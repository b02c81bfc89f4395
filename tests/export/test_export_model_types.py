"""Every supported model type against transformers itself, with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conversions import Convert

from toolkit.export.onnx.session import OnnxDecoder
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve

MODEL_TYPES = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma3", "gpt2"]
PREFILL, STEPS = 40, 8


def transformers_logits(source: ModelSource, ids: list[int]) -> torch.Tensor:
    """Prefill and single steps through transformers' own KV cache; logits of each last position."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32, attn_implementation="eager")
    model.load_state_dict({name: source.weights.read(name) for name in source.weights.names()}, strict=False)
    model.tie_weights()
    model.eval()
    rows, cache = [], None
    with torch.no_grad():
        for chunk in [ids[:PREFILL], *([token] for token in ids[PREFILL:])]:
            output = model(torch.tensor([chunk]), past_key_values=cache, use_cache=True)
            cache = output.past_key_values
            rows.append(output.logits[0, -1])
    return torch.stack(rows)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_fp32_logits_equal_transformers_over_prefill_and_decode(
    model_type: str, convert_model: Convert, settings: Settings
) -> None:
    source = resolve(f"random:{model_type}-tiny", settings)
    window = getattr(source.config, "sliding_window", None)
    assert window is None or window < PREFILL, "the text must be longer than the window to test it"
    ids = np.random.default_rng(7).integers(3, source.config.vocab_size, PREFILL + STEPS).tolist()
    expected = transformers_logits(source, ids)

    artifact = convert_model(source)
    decoder = OnnxDecoder(artifact.path / "model.onnx", PREFILL + STEPS)
    rows = [decoder.step(ids[:PREFILL]), *(decoder.step([token]) for token in ids[PREFILL:])]

    assert expected.std() > 0.1, "flat logits would agree whatever the weights"
    torch.testing.assert_close(torch.cat(rows), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_prefill_in_chunks_equals_prefill_at_once(model_type: str, convert_model: Convert) -> None:
    artifact = convert_model(f"random:{model_type}-tiny")
    ids = np.random.default_rng(8).integers(3, artifact.manifest.architecture.vocab_size, PREFILL).tolist()
    decoder = OnnxDecoder(artifact.path / "model.onnx", PREFILL)
    at_once = decoder.step(ids)
    decoder.reset()
    for start in range(0, PREFILL, 16):
        in_chunks = decoder.step(ids[start : start + 16])
    torch.testing.assert_close(in_chunks, at_once, atol=1e-3, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("quant", ["8da8w", "8da4w"])
def test_quantized_artifacts_stay_close_to_transformers(
    model_type: str, quant: str, convert_model: Convert
) -> None:
    parity = convert_model(f"random:{model_type}-tiny", quant).manifest.parity
    assert parity is not None and parity.passed
    assert parity.positions == 4 * 9
    assert parity.mean_kl < (0.005 if quant == "8da8w" else 0.5)
