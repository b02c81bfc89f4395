"""Tiny models of the architectures that llama.cpp knows, as its converter writes them.

Reference: llama.cpp's conversion package, a class per architecture; which tensors it permutes, shifts or
joins is written down here a second time, apart from the reader's table.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from gguf_files import add_key, add_tensor

from toolkit.sources import ModelSource

CONFIGS = Path(__file__).parents[1] / "families" / "configs"
# Tiny config -> architecture in the GGUF file.
FAMILIES = {
    "arcee": "arcee",
    "bloom": "bloom",
    "cohere2": "cohere2",
    "exaone4": "exaone4",
    "gemma": "gemma",
    "gemma2": "gemma2",
    "glm4": "glm4",
    "gpt_neox-pythia-hd64": "gptneox",
    "granite": "granite",
    "lfm2": "lfm2",
    "minicpm-remote": "minicpm",
    "nemotron": "nemotron",
    "olmo": "olmo",
    "olmo-clip": "olmo",
    "olmo2": "olmo2",
    "olmo3": "olmo2",
    "olmoe": "olmoe",
    "phi-2-hd80": "phi2",
    "qwen1-remote": "qwen",
    "qwen2_moe": "qwen2moe",
    "qwen2_vl-multimodal": "qwen2vl",
    "qwen3_moe": "qwen3moe",
    "seed_oss": "seed_oss",
    "smollm3": "smollm3",
    "stablelm-3b-hd80": "stablelm",
    "starcoder2": "starcoder2",
    "llama-danube3-hd120": "exaone",
}
# What llama.cpp knows from the number of layers, or not at all, so that files cannot say it.
UNSAID = {"gemma2": {"query_pre_attn_scalar": 64}, "starcoder2": {"sliding_window": None}}
_PERMUTED = ("arcee", "granite", "minicpm", "olmo", "smollm3")
_SHIFTED = ("gemma", "gemma2", "nemotron")


def write_family(
    path: Path,
    source: ModelSource,
    architecture: str,
    *,
    parts: int = 1,
    tensors: dict[str, np.ndarray[Any, Any]] | None = None,
    skip: Sequence[str] = (),
    **keys: Any,
) -> Path:
    """Write a model; of several parts, returns the first.

    Args:
        path: the file, or what its parts are named after.
        source: the model.
        architecture: llama.cpp's name.
        parts: how many files.
        tensors: in place of those of these names.
        skip: names that are left out.
        keys: metadata of the architecture that is added or replaced, "." written as "__".
    """
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, source.config.num_hidden_layers)
    stored: dict[str, np.ndarray[Any, Any]] = {}
    for parameter in source.weights.names():
        module, _, suffix = parameter.rpartition(".")
        if architecture == "bloom":
            module = module.removeprefix("transformer.")
        if module.endswith(".experts"):
            stored |= _experts(parameter, source)
            continue
        stored[f"{names.get_name(module)}.{suffix}"] = _converted(parameter, source, architecture)
    stored = {name: values for name, values in (stored | (tensors or {})).items() if name not in skip}
    given = {key.replace("__", "."): value for key, value in keys.items()}
    metadata = {f"{architecture}.{key}": value for key, value in (_keys(source.config) | given).items()}
    metadata |= {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [f"t{index}" for index in range(source.config.vocab_size)],
    }
    files = [path.with_name(f"{path.stem}-{part + 1:05}-of-{parts:05}.gguf") for part in range(parts)]
    for part, file in enumerate(files if parts > 1 else [path]):
        writer = gguf.GGUFWriter(file, architecture)
        for key, value in metadata.items() if part == 0 else ():
            add_key(writer, key, value)
        if parts > 1:
            writer.add_uint16("split.no", part)
            writer.add_uint16("split.count", parts)
            writer.add_int32("split.tensors.count", len(stored))
        for name in list(stored)[part::parts]:
            add_tensor(writer, name, stored[name], "F32")
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return files[0] if parts > 1 else path


def _keys(config: Any) -> dict[str, Any]:
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    rope = getattr(config, "rope_parameters", None) or {}
    rope = rope.get("full_attention", rope)
    share = rope.get("partial_rotary_factor", 1.0)
    found = {
        "context_length": getattr(config, "max_position_embeddings", None) or 2048,
        "block_count": config.num_hidden_layers,
        "embedding_length": config.hidden_size,
        "feed_forward_length": getattr(config, "intermediate_size", None) or 4 * config.hidden_size,
        "attention.head_count": heads,
        "attention.head_count_kv": getattr(config, "num_key_value_heads", None) or heads,
    }
    rms = next((v for n in ("rms_norm_eps",) if (v := getattr(config, n, None)) is not None), None)
    other = ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps")
    layer = next((v for n in other if (v := getattr(config, n, None)) is not None), None)
    if config.model_type == "olmo":
        layer = 1e-5
    if rms is not None:
        found["attention.layer_norm_rms_epsilon"] = float(rms)
    if layer is not None:
        found["attention.layer_norm_epsilon"] = float(layer)
    if rope:
        found |= {"rope.freq_base": float(rope["rope_theta"]), "rope.dimension_count": int(width * share)}
    if config.hidden_size != width * heads:
        found |= {"attention.key_length": width, "attention.value_length": width}
    return found | _OWN.get(config.model_type, lambda config: {})(config)


def _experts(parameter: str, source: ModelSource) -> dict[str, np.ndarray[Any, Any]]:
    """llama.cpp keeps gates and what they multiply apart: [experts, rows, columns] each."""
    values = source.weights.read(parameter)
    layer = parameter.split(".")[2]
    if parameter.endswith("down_proj"):
        return {f"blk.{layer}.ffn_down_exps.weight": values.numpy()}
    gates, others = values.numpy().swapaxes(0, 1).reshape(2, -1, values.shape[0], values.shape[2])
    return {
        f"blk.{layer}.ffn_gate_exps.weight": np.ascontiguousarray(gates.swapaxes(0, 1)),
        f"blk.{layer}.ffn_up_exps.weight": np.ascontiguousarray(others.swapaxes(0, 1)),
    }


def _experts_keys(config: Any) -> dict[str, Any]:
    return {
        "expert_count": config.num_experts,
        "expert_used_count": config.num_experts_per_tok,
        "expert_feed_forward_length": config.moe_intermediate_size,
    }


def _windows(config: Any) -> dict[str, Any]:
    kinds = [kind == "sliding_attention" for kind in config.layer_types]
    if not config.sliding_window:
        return {}
    return {"attention.sliding_window": config.sliding_window, "attention.sliding_window_pattern": kinds}


_OWN: dict[str, Any] = {
    "cohere2": lambda config: {"logit_scale": config.logit_scale, **_windows(config)},
    "exaone4": _windows,
    "olmo3": _windows,
    "gemma2": lambda config: {
        "attn_logit_softcapping": config.attn_logit_softcapping,
        "final_logit_softcapping": config.final_logit_softcapping,
        **_windows(config),
    },
    "gpt_neox": lambda config: {"use_parallel_residual": config.use_parallel_residual},
    "granite": lambda config: {
        "attention.scale": config.attention_multiplier,
        "embedding_scale": config.embedding_multiplier,
        "residual_scale": config.residual_multiplier,
        "logit_scale": config.logits_scaling,
    },
    "lfm2": lambda config: {
        "shortconv.l_cache": config.conv_L_cache,
        "attention.head_count_kv": [
            0 if kind == "conv" else config.num_key_value_heads for kind in config.layer_types
        ],
        "attention.layer_norm_rms_epsilon": config.norm_eps,
        "vocab_size": config.vocab_size,
    },
    "olmoe": lambda config: {
        "expert_count": config.num_experts,
        "expert_used_count": config.num_experts_per_tok,
    },
    "qwen2_moe": lambda config: {
        **_experts_keys(config),
        "expert_shared_feed_forward_length": config.shared_expert_intermediate_size,
    },
    "qwen3_moe": _experts_keys,
    "minicpm": lambda config: {
        "embedding_scale": float(config.scale_emb),
        "residual_scale": config.scale_depth / config.num_hidden_layers**0.5,
        "logit_scale": config.hidden_size / config.dim_model_base,
    },
    "olmo": lambda config: {"attention.clamp_kqv": config.clip_qkv} if config.clip_qkv else {},
    "qwen2_vl_text": lambda config: {"rope.dimension_sections": [4, 6, 6, 0]},
    "stablelm": lambda config: {"use_parallel_residual": config.use_parallel_residual},
}


def _converted(parameter: str, source: ModelSource, architecture: str) -> np.ndarray[Any, Any]:
    config, values = source.config, source.weights.read(parameter)
    if architecture in _PERMUTED and ("q_proj" in parameter or "k_proj" in parameter):
        heads = config.num_attention_heads if "q_proj" in parameter else config.num_key_value_heads
        values = values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    if architecture in _SHIFTED and parameter.endswith("norm.weight"):
        values = values + 1
    if architecture in ("bloom", "gptneox") and "query_key_value" in parameter:
        heads = config.num_attention_heads
        by_head = values.reshape(heads, 3, -1, *values.shape[1:])
        values = torch.cat([by_head[:, kind].reshape(-1, *values.shape[1:]) for kind in range(3)])
    if parameter.endswith(("conv.conv.weight", "shared_expert_gate.weight")):
        values = values.squeeze()
    return np.ascontiguousarray(values.numpy())
