"""Model types that transformers lacks, against published counts and against llama with other weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve


def _source(folder: Path, fields: dict[str, Any]) -> ModelSource:
    file = folder / fields["model_type"] / "config.json"
    file.parent.mkdir()
    file.write_text(json.dumps(fields))
    return resolve(f"random:{file}", Settings(folder / "cache", folder / "data", "sqlite://"))


def test_openelm_has_as_many_parameters_as_published(tmp_path: Path) -> None:
    source = _source(
        tmp_path,
        {
            "model_type": "openelm",
            "auto_map": {"AutoConfig": "configuration_openelm.OpenELMConfig"},
            "vocab_size": 32000,
            "num_transformer_layers": 16,
            "model_dim": 1280,
            "head_dim": 64,
            "num_gqa_groups": 4,
            "normalize_qk_projections": True,
            "share_input_output_layers": True,
            "ffn_multipliers": [0.5, 4.0],
            "qkv_multipliers": [0.5, 1.0],
        },
    )
    assert source.config.num_query_heads == [12] * 5 + [16] * 7 + [20] * 4
    counts = [torch.Size(source.weights.shape(name)).numel() for name in source.weights.names()]
    # apple/OpenELM-270M.
    assert sum(counts) == 271_527_168


def test_minicpm_is_llama_with_scaled_weights(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    shape = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    factors = {"scale_emb": 12, "scale_depth": 1.4, "dim_model_base": 16}
    source = _source(tmp_path, {"model_type": "minicpm", "auto_map": {}, **shape, **factors})
    ours = AutoModelForCausalLM.from_config(source.config).eval()
    llama = LlamaForCausalLM(LlamaConfig(**shape)).eval()
    weights = dict(ours.state_dict())
    for name in weights:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            weights[name] = weights[name] * 1.4 / 3**0.5
    weights["lm_head.weight"] = weights["lm_head.weight"] / (32 / 16)
    weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"] * 12
    llama.load_state_dict(weights)
    ids = torch.arange(9)[None] * 7
    with torch.no_grad():
        torch.testing.assert_close(ours(ids).logits, llama(ids).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model_type", ["mobillama", "mobilellm"])
def test_llamas_by_another_name_need_no_code_from_their_folder(model_type: str, tmp_path: Path) -> None:
    fields = {
        "model_type": model_type,
        "auto_map": {},
        "vocab_size": 64,
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 48,
    }
    source = _source(tmp_path, fields)
    assert "model.layers.0.mlp.gate_proj.weight" in source.weights.names()
    assert ("lm_head.weight" in source.weights.names()) == (model_type == "mobillama")
