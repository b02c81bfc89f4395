"""Integers of experts, against transformers with the same rounded weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conversions_of_families import decoder, tiny_source

from toolkit.artifact import TensorQuantization
from toolkit.compress.plan import QuantizationPlan
from toolkit.compress.quantize import quantize
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings

EXACT = TensorQuantization(scheme="fp32", group_size=None, symmetric=True, algorithm="none")
WEIGHT_ONLY = [
    TensorQuantization(scheme="4w", group_size=32, symmetric=False, algorithm="rtn"),
    TensorQuantization(scheme="4w", group_size=0, symmetric=True, algorithm="rtn"),
    TensorQuantization(scheme="8w", group_size=0, symmetric=True, algorithm="rtn"),
]


def rounded(weights: dict[str, torch.Tensor], spec: TensorQuantization) -> dict[str, torch.Tensor]:
    return {
        name: quantize(tensor.flatten(0, 1), spec, subject=name).dequantize().view(tensor.shape)
        if ".experts." in name
        else tensor
        for name, tensor in weights.items()
    }


@pytest.mark.parametrize("spec", WEIGHT_ONLY, ids=lambda spec: f"{spec.scheme}-{spec.group_size}")
def test_integers_are_those_that_were_rounded(
    spec: TensorQuantization, tmp_path: Path, settings: Settings
) -> None:
    from transformers import AutoModelForCausalLM

    source = tiny_source("qwen2_moe", tmp_path, settings)
    plan = QuantizationPlan(EXACT, EXACT, EXACT, overrides=(("*.experts.*", spec),))
    request = ConvertRequest.of(model=source.name, quant="fp32", parity_check=False)
    artifact = convert(source, request, tmp_path / "out", settings, plan=plan)
    model = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32, attn_implementation="eager")
    weights = {name: source.weights.read(name) for name in source.weights.names()}
    model.load_state_dict(rounded(weights, spec), strict=False)
    ids = np.random.default_rng(7).integers(3, source.config.vocab_size, 12).tolist()
    with torch.no_grad():
        expected = model.eval()(torch.tensor([ids])).logits[0, -1]
    with decoder("onnxruntime", artifact.path) as loaded:
        assert (loaded.step(ids)[-1] - expected).abs().max() <= 1e-3
    stored = {spec.scheme for spec in artifact.manifest.quantization.overrides.values()}
    assert stored | {artifact.manifest.quantization.linear.scheme} == {"fp32", spec.scheme}
