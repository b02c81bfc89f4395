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
    file.parent.mkdir(parents=True)
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


def _random_logits(source: ModelSource, ids: torch.Tensor) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_config(source.config).eval()
    model.load_state_dict({name: source.weights.read(name) for name in source.weights.names()}, strict=False)
    with torch.no_grad():
        logits: torch.Tensor = model(ids).logits
    return logits


def test_qwen_is_qwen2_with_other_names(tmp_path: Path) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    source = _source(
        tmp_path,
        {
            "model_type": "qwen",
            "auto_map": {"AutoConfig": "configuration_qwen.QWenConfig"},
            "vocab_size": 64,
            "hidden_size": 32,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "kv_channels": 8,
            "seq_length": 2048,
            "max_position_embeddings": 8192,
            "use_dynamic_ntk": True,
            "use_logn_attn": True,
        },
    )
    # Beyond it the original stretches its rotation and its queries.
    assert source.config.max_position_embeddings == 2048
    stored = {name: source.weights.read(name) for name in source.weights.names()}
    names = {"wte": "embed_tokens", "ln_f": "norm"}
    inner = {
        "ln_1": "input_layernorm",
        "ln_2": "post_attention_layernorm",
        "attn.c_proj": "self_attn.o_proj",
        "mlp.w1": "mlp.up_proj",
        "mlp.w2": "mlp.gate_proj",
        "mlp.c_proj": "mlp.down_proj",
    }
    expected = {"lm_head.weight": stored.pop("lm_head.weight")}
    for name, values in stored.items():
        module, _, kind = name.removeprefix("transformer.").rpartition(".")
        if module in names:
            expected[f"model.{names[module]}.{kind}"] = values
            continue
        _, layer, within = module.split(".", 2)
        if within == "attn.c_attn":
            for part, rows in zip(("q_proj", "k_proj", "v_proj"), values.chunk(3), strict=True):
                expected[f"model.layers.{layer}.self_attn.{part}.{kind}"] = rows
        else:
            expected[f"model.layers.{layer}.{inner[within]}.{kind}"] = values
    qwen2 = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=64,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            tie_word_embeddings=False,
        )
    ).eval()
    qwen2.load_state_dict(expected)
    ids = torch.arange(9)[None] * 7
    with torch.no_grad():
        torch.testing.assert_close(_random_logits(source, ids), qwen2(ids).logits, atol=1e-5, rtol=1e-5)


def test_openlm_is_what_its_paper_says(tmp_path: Path) -> None:
    arguments = {"dim": 32, "n_layers": 2, "n_heads": 4, "vocab_size": 64, "qk_norm": True, "norm_eps": 1e-5}
    arguments |= {"model_norm": "gain_only_lp_layer_norm", "ffn_type": "swiglu_torch"}
    source = _source(tmp_path, {"model_type": "openlm", "params": None, "params_args_dict": arguments})
    weights = {name: source.weights.read(name).double() for name in source.weights.names()}

    def norm(states: torch.Tensor, name: str) -> torch.Tensor:
        centred = states - states.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weights[f"{name}.weight"]

    def turned(states: torch.Tensor) -> torch.Tensor:
        angles = torch.arange(9).double()[:, None, None] * 10000 ** -(torch.arange(4).double() / 4)
        first, second = states[..., :4], states[..., 4:]
        cos, sin = angles.cos(), angles.sin()
        return torch.cat((first * cos - second * sin, second * cos + first * sin), -1)

    ids = torch.arange(9) * 7
    hidden = weights["model.tok_embeddings.weight"][ids]
    for layer in ("model.layers.0", "model.layers.1"):
        joined = norm(hidden, f"{layer}.attention_norm") @ weights[f"{layer}.attention.in_proj.weight"].T
        query, key, value = joined.chunk(3, -1)
        query, key = norm(query, f"{layer}.attention.q_norm"), norm(key, f"{layer}.attention.k_norm")
        query, key, value = turned(query.view(9, 4, 8)), turned(key.view(9, 4, 8)), value.view(9, 4, 8)
        scores = torch.einsum("qhd,khd->hqk", query, key) / 8**0.5
        scores = scores.masked_fill(torch.ones(9, 9).triu(1).bool(), -torch.inf).softmax(-1)
        mixed = torch.einsum("hqk,khd->qhd", scores, value).reshape(9, 32)
        hidden = hidden + mixed @ weights[f"{layer}.attention.out_proj.weight"].T
        gate, up = (norm(hidden, f"{layer}.ffn_norm") @ weights[f"{layer}.feed_forward.w12.weight"].T).chunk(
            2, -1
        )
        hidden = hidden + (gate * gate.sigmoid() * up) @ weights[f"{layer}.feed_forward.w3.weight"].T
    expected = norm(hidden, "model.norm") @ weights["model.output.weight"].T
    torch.testing.assert_close(_random_logits(source, ids[None])[0].double(), expected, atol=1e-4, rtol=1e-4)


def test_openlm_that_is_not_known_says_which_field(tmp_path: Path) -> None:
    from toolkit.errors import SourceCorrupt

    for field, value in (
        ("positional_embedding_type", "head_rotary"),
        ("ffn_type", "moe"),
        ("n_layers", None),
    ):
        fields = {"model_type": "openlm", "dim": 32, "n_layers": 2, "n_heads": 4, field: value}
        with pytest.raises(SourceCorrupt, match=field):
            _source(tmp_path / field, fields)
