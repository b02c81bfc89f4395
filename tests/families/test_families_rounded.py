"""Integers of families that 4 bits cost much, against transformers with the same rounded weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conversions_of_families import ENGINES, decoder, tiny_source

from toolkit.artifact import TensorQuantization
from toolkit.capture.cached import cached_capture
from toolkit.capture.graph import DecoderGraph
from toolkit.capture.patterns import linear_matrix, routers
from toolkit.capture.skeleton import build_skeleton, tied_names
from toolkit.compress.plan import QuantizationPlan
from toolkit.compress.quantize import quantize
from toolkit.engines import ENGINES as INSTALLED
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.models.support import read_support
from toolkit.settings import Settings

EXACT = TensorQuantization(scheme="fp32", group_size=None, symmetric=True, algorithm="none")
# Weight-only, so that nothing but the weights is rounded; as finely as each engine can.
GROUPS = {"onnxruntime": 32, "executorch": 0}
# Recurrences keep what was rounded; a squared activation, scores without a scale and routers enlarge it.
COARSE = (
    "mamba",
    "mamba2",
    "falcon_mamba",
    "falcon_h1-norm",
    "olmo_hybrid",
    "jamba",
    "nemotron",
    "qwen3_5_text",
    "qwen3_5_moe_text",
    "qwen3_next",
    "zamba",
    "zamba2",
    "bamba-groups",
    "deepseek_v2-groups",
    "gpt_neo",
    "gpt_neo-untied",
    "phimoe-swa",
    "bailing_hybrid",
)


def matrices(graph: DecoderGraph, tied: dict[str, str]) -> list[str]:
    """Linears outside of the vocabulary, and tensors of experts."""
    linears = [linear_matrix(graph, tied, op) for op in graph.ops if op.target == "aten.linear"]
    experts = [ref.name for op in graph.ops if op.target == "slm.experts" for ref in op.args[3:5]]
    exact = routers(graph)
    return [one.name for one in linears if one.role == "linear" and one.name not in exact] + experts


def test_every_config_that_the_table_calls_coarse_is_compared() -> None:
    assert {row.config for row in read_support() if row.outcome == "coarse"} <= set(COARSE)


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", COARSE)
def test_logits_are_those_of_transformers_with_the_rounded_weights(
    name: str, engine: str, tmp_path: Path, settings: Settings
) -> None:
    assert difference(name, engine, "4w", tmp_path, settings) <= 1e-3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", ["4w", "8w"])
def test_biases_of_rounded_matrices_are_added_unscaled(
    scheme: str, tmp_path: Path, settings: Settings
) -> None:
    assert difference("qwen2", "executorch", scheme, tmp_path, settings) <= 1e-3


def difference(name: str, engine: str, scheme: str, folder: Path, settings: Settings) -> float:
    """The greatest between logits of an artifact and of transformers with the same rounded weights."""
    from transformers import AutoModelForCausalLM

    source = tiny_source(name, folder, settings)
    skeleton = build_skeleton(source.config)
    graph, _ = cached_capture(skeleton, source.config, settings.cache_dir)
    request = ConvertRequest.of(model=source.name, quant="fp32", backend=engine, parity_check=False)
    spec = TensorQuantization(
        scheme=scheme,
        group_size=GROUPS[engine],
        symmetric=True,
        algorithm="rtn",
        positive_scales=not INSTALLED.get(engine).capabilities.negative_scales,
    )
    plan = QuantizationPlan(spec, EXACT, EXACT)

    artifact = convert(source, request, folder / "out", settings, plan=plan)

    stored = artifact.manifest.quantization
    weights = {each: source.weights.read(each) for each in source.weights.names()}
    changed = 0
    for each in matrices(graph, tied_names(skeleton)):
        spec, weight = stored.overrides.get(each, stored.linear), weights[each]
        if spec.scheme != "fp32":
            flat = weight.reshape(-1, weight.shape[-1])
            weights[each] = quantize(flat, spec, subject=each).dequantize().view(weight.shape)
            changed += 1
    model = AutoModelForCausalLM.from_config(source.config, dtype=torch.float32, attn_implementation="eager")
    model.load_state_dict(weights, strict=False)
    model.tie_weights()
    ids = np.random.default_rng(7).integers(3, source.config.vocab_size, 24).tolist()
    with torch.no_grad():
        expected = model.eval()(torch.tensor([ids]), use_cache=False).logits[0, -1]
    assert changed
    with decoder(engine, artifact.path) as loaded:
        return float((loaded.step(ids)[-1] - expected).abs().max())
