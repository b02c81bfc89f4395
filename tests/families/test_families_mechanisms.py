"""One config for each mechanism that llama does without, on both engines, against transformers."""

from __future__ import annotations

from pathlib import Path

import pytest
from conversions_of_families import ENGINES, outcome

from toolkit.settings import Settings

MECHANISMS = {
    "queries, keys and values interleaved by head, partial rotation": "gpt_neox-pythia-hd64",
    "positions with an offset, a text flattened to two dimensions": "opt-125m",
    "positions counted by the model, heads of 4": "bart-decoder",
    "norms without weight": "olmo",
    "norms of 1 + weight, a squared activation": "nemotron",
    "rotation of 20 dimensions": "stablelm-3b-hd80",
    "norm after the rotation": "hunyuan_v1_dense",
    "interleaved rotation": "glm4",
    "a rotation of the other sign, norms without weight": "nanochat",
    "one key for all queries, cut out of a projection": "gpt_bigcode",
    "latent attention, writes into new tensors": "minicpm3",
    "layers that share keys and values": "gemma4_text-shared",
    "values clipped in place": "olmo-clip",
    "a scale that grows with the position": "ministral3",
    "two attentions subtracted": "diffllama",
    "layers that run twice": "hrm_text",
    "attention written out, with ALiBi": "bloom",
    "attention written out, with ALiBi in bfloat16": "falcon-rw",
    "attention written out, with local windows and no scale": "gpt_neo",
    "one key for all queries, a product with a turned matrix": "falcon-7b",
    "scores with a soft cap": "gemma2",
    "factors of another name, an architecture of ours": "minicpm-remote",
    "layers of different width, an architecture of ours": "openelm-remote",
    "short convolutions": "lfm2",
    "a recurrence with a decay for each channel and column": "mamba",
    "recurrences beside attention, keys shared by heads": "bamba",
    "a recurrence over channels": "recurrent_gemma",
    "a delta rule, heads and tokens in one dimension": "olmo_hybrid",
    "norms over whole queries and keys, gate and up in one matrix, an architecture of ours": "openlm-dclm",
    "positions in three rows, the decoder of a model that sees": "qwen2_vl-multimodal",
    "attention within chunks, experts with scaled inputs": "llama4_text",
}
EXPERTS = {
    "experts, and a gated one that all tokens use": "qwen2_moe",
    "experts in groups, chosen by biased scores": "deepseek_v3",
    "experts chosen one after the other": "phimoe",
    "experts with biases, attention sinks": "gpt_oss",
    "experts with a gate that onnxruntime's operator lacks": "mixtral-gelu",
    "experts with a scale each, looked up by their places": "gemma4_text-moe",
}
OTHER_EXPERTS = (
    "olmoe",
    "mixtral",
    "deepseek_v2-lite-moe",
    "ernie4_5_moe",
    "hunyuan_v1_moe",
    "mellum",
    "afmoe",
    "granite_swa",
    "mimo_v2_flash",
    "nemotron_h-moe",
)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MECHANISMS.values(), ids=MECHANISMS.keys())
def test_logits_equal_transformers_in_prefill_steps_and_chunks(
    name: str, engine: str, tmp_path: Path, settings: Settings
) -> None:
    found = outcome(name, engine, tmp_path, settings)
    assert found.outcome == "converts", found


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", EXPERTS.values(), ids=EXPERTS.keys())
def test_experts_equal_transformers(name: str, engine: str, tmp_path: Path, settings: Settings) -> None:
    found = outcome(name, engine, tmp_path, settings)
    assert found.outcome == "converts", found


@pytest.mark.soak
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", OTHER_EXPERTS)
def test_other_experts_equal_transformers(name: str, engine: str, tmp_path: Path, settings: Settings) -> None:
    found = outcome(name, engine, tmp_path, settings)
    assert found.outcome == "converts", found
