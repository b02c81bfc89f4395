"""Every supported model type against transformers itself, with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from conversions import Convert
from transformers_reference import MODEL_TYPES, PREFILL, STEPS, check_prefill_and_decode

from toolkit.engines.onnxruntime.session import OnnxDecoder
from toolkit.settings import Settings
from toolkit.sources import resolve


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_fp32_logits_equal_transformers_over_prefill_and_decode(
    model_type: str, convert_model: Convert, settings: Settings
) -> None:
    source = resolve(f"random:{model_type}-tiny", settings)
    check_prefill_and_decode(
        source, lambda: OnnxDecoder(convert_model(source).path / "model.onnx", PREFILL + STEPS)
    )


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
