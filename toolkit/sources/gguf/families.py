"""The transformers config of each GGUF architecture, from its keys and tensors.

Reference: llama.cpp's converter (what it writes of a config) and its models (what they do where a key is
missing), one class each per architecture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from toolkit.sources.gguf.metadata import (
    Metadata,
    decoder,
    decoder_of_before,
    head_dim,
    head_width,
    long_factors,
    original_context,
    rotary,
    sizes,
    sliding_layers,
    turned_share,
)
from toolkit.sources.gguf.rotary import LONG_FACTORS


def _llama(metadata: Metadata) -> dict[str, Any]:
    return decoder(metadata) | {
        "model_type": "llama",
        "head_dim": head_dim(metadata),
        "attention_bias": _has(metadata, "attn_q.bias"),
        "mlp_bias": _has(metadata, "ffn_up.bias"),
    }


def _exaone(metadata: Metadata) -> dict[str, Any]:
    # EXAONE 3 is llama under other names; its rows are not interleaved.
    return decoder_of_before(metadata) | {"model_type": "llama", "head_dim": head_dim(metadata)}


def _arcee(metadata: Metadata) -> dict[str, Any]:
    return _llama(metadata) | {"model_type": "arcee"}


def _smollm3(metadata: Metadata) -> dict[str, Any]:
    fields = decoder(metadata)
    head_dim(metadata)
    layers = fields["num_hidden_layers"]
    # llama.cpp's step; the converter does not write another one.
    turns = [int((layer + 1) % 4 != 0) for layer in range(layers)]
    return fields | {
        "model_type": "smollm3",
        "no_rope_layers": turns,
        "attention_bias": _has(metadata, "attn_q.bias"),
    }


def _qwen2(metadata: Metadata) -> dict[str, Any]:
    head_dim(metadata)
    return decoder(metadata) | {"model_type": "qwen2"}


def _qwen2moe(metadata: Metadata) -> dict[str, Any]:
    head_dim(metadata)
    return _experts(metadata) | {
        "model_type": "qwen2_moe",
        "shared_expert_intermediate_size": metadata.count("expert_shared_feed_forward_length"),
        "qkv_bias": _has(metadata, "attn_q.bias"),
        # llama.cpp's graph; no key says it.
        "norm_topk_prob": False,
    }


def _qwen3moe(metadata: Metadata) -> dict[str, Any]:
    return _experts(metadata) | {
        "model_type": "qwen3_moe",
        "head_dim": head_dim(metadata),
        "attention_bias": _has(metadata, "attn_q.bias"),
        # llama.cpp's graph; no key says it.
        "norm_topk_prob": True,
    }


def _olmoe(metadata: Metadata) -> dict[str, Any]:
    head_dim(metadata)
    return decoder(metadata) | {
        "model_type": "olmoe",
        "num_experts": metadata.count("expert_count"),
        "num_experts_per_tok": metadata.count("expert_used_count"),
        # llama.cpp's graph; no key says it.
        "norm_topk_prob": False,
    }


def _experts(metadata: Metadata) -> dict[str, Any]:
    """A decoder with experts in every layer."""
    return decoder(metadata) | {
        "num_experts": metadata.count("expert_count"),
        "num_experts_per_tok": metadata.count("expert_used_count"),
        "moe_intermediate_size": metadata.count("expert_feed_forward_length"),
    }


def _lfm2(metadata: Metadata) -> dict[str, Any]:
    keys = metadata.get("attention.head_count_kv")
    layers = metadata.count("block_count")
    if not isinstance(keys, list) or len(keys) != layers or len(set(keys) - {0}) > 1:
        raise metadata.refusal(f"attention.head_count_kv is {keys!r}, for {layers} layers")
    heads = metadata.count("attention.head_count")
    head_dim(metadata)
    return {
        "model_type": "lfm2",
        "vocab_size": metadata.rows("token_embd.weight"),
        "tie_word_embeddings": "output.weight" not in metadata.tensors,
        "max_position_embeddings": metadata.count("context_length"),
        "num_hidden_layers": layers,
        "hidden_size": metadata.count("embedding_length"),
        "intermediate_size": metadata.count("feed_forward_length"),
        # The length is that of the tensors.
        "block_auto_adjust_ff_dim": False,
        "num_attention_heads": heads,
        "num_key_value_heads": max(keys) or heads,
        "layer_types": ["full_attention" if count else "conv" for count in keys],
        "rope_parameters": rotary(metadata),
        "norm_eps": metadata.number("attention.layer_norm_rms_epsilon"),
        "conv_L_cache": metadata.count("shortconv.l_cache"),
    }


def _qwen3(metadata: Metadata) -> dict[str, Any]:
    return decoder(metadata) | {
        "model_type": "qwen3",
        "head_dim": head_dim(metadata),
        "attention_bias": _has(metadata, "attn_q.bias"),
    }


def _qwen2vl(metadata: Metadata) -> dict[str, Any]:
    # Sections of rows for time, height and width, which are the same for text.
    metadata.get("rope.dimension_sections", [])
    return _qwen2(metadata)


def _qwen3vl(metadata: Metadata) -> dict[str, Any]:
    metadata.get("rope.dimension_sections", [])
    # Layers that get features of images, which text has none of.
    metadata.get("n_deepstack_layers", 0)
    return _qwen3(metadata)


def _seed_oss(metadata: Metadata) -> dict[str, Any]:
    return decoder(metadata) | {
        "model_type": "seed_oss",
        "head_dim": head_dim(metadata),
        "attention_bias": _has(metadata, "attn_q.bias"),
        "attention_out_bias": _has(metadata, "attn_output.bias"),
    }


def _gemma(metadata: Metadata) -> dict[str, Any]:
    return decoder(metadata) | {"model_type": "gemma", "head_dim": head_dim(metadata)}


def _gemma2(metadata: Metadata) -> dict[str, Any]:
    fields, width = decoder(metadata), head_dim(metadata)
    layers = fields["num_hidden_layers"]
    # Only 27B, with 46 layers, scales queries by the width per head; llama.cpp tells it the same way.
    scalar = fields["hidden_size"] // fields["num_attention_heads"] if layers == 46 else width
    return fields | {
        "model_type": "gemma2",
        "head_dim": width,
        "query_pre_attn_scalar": scalar,
        "sliding_window": metadata.count("attention.sliding_window", 4096),
        "layer_types": sliding_layers(metadata, layers, 2),
        "attn_logit_softcapping": metadata.positive("attn_logit_softcapping", 50.0),
        "final_logit_softcapping": metadata.positive("final_logit_softcapping", 30.0),
    }


def _gemma3(metadata: Metadata) -> dict[str, Any]:
    width = head_dim(metadata)
    fields = decoder(metadata)
    layers = fields["num_hidden_layers"]
    # Only 27B, with 62 layers, scales queries by the width per head; llama.cpp tells it the same way.
    scalar = fields["hidden_size"] // fields["num_attention_heads"] if layers == 62 else width
    return fields | {
        "model_type": "gemma3_text",
        "head_dim": width,
        "query_pre_attn_scalar": scalar,
        "layer_types": sliding_layers(metadata, layers, 6),
        "sliding_window": metadata.count("attention.sliding_window"),
        "final_logit_softcapping": metadata.number("final_logit_softcapping", 0.0) or None,
        "rope_parameters": {
            "full_attention": fields["rope_parameters"],
            "sliding_attention": {
                "rope_type": "default",
                "rope_theta": metadata.positive("rope.freq_base_swa", 10000.0),
            },
        },
    }


def _phi2(metadata: Metadata) -> dict[str, Any]:
    fields = sizes(metadata)
    fields["rope_parameters"]["partial_rotary_factor"] = turned_share(metadata)
    return fields | {
        "model_type": "phi",
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon"),
    }


def _phi3(metadata: Metadata) -> dict[str, Any]:
    fields = decoder(metadata)
    if LONG_FACTORS in metadata.tensors:
        # Whatever the file says of the type of scaling, as llama.cpp.
        fields["rope_parameters"] = long_factors(metadata, fields["rope_parameters"]["rope_theta"])
        fields["original_max_position_embeddings"] = original_context(metadata)
    fields["rope_parameters"]["partial_rotary_factor"] = turned_share(metadata)
    window = metadata.get("attention.sliding_window", 0)
    return fields | {
        "model_type": "phi3",
        # llama.cpp writes the window also where it covers the whole context.
        "sliding_window": window if 0 < window < fields["max_position_embeddings"] else None,
    }


def _stablelm(metadata: Metadata) -> dict[str, Any]:
    fields = sizes(metadata)
    fields["rope_parameters"]["partial_rotary_factor"] = turned_share(metadata)
    return fields | {
        "model_type": "stablelm",
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon"),
        "use_qkv_bias": _has(metadata, "attn_q.bias"),
        # llama.cpp goes by the tensors, and so does this.
        "use_parallel_residual": not _has(metadata, "ffn_norm.weight"),
    }


def _gptneox(metadata: Metadata) -> dict[str, Any]:
    fields = sizes(metadata)
    fields["rope_parameters"]["partial_rotary_factor"] = turned_share(metadata)
    return fields | {
        "model_type": "gpt_neox",
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon"),
        "use_parallel_residual": bool(metadata.get("use_parallel_residual")),
        "attention_bias": _has(metadata, "attn_qkv.bias"),
    }


def _bloom(metadata: Metadata) -> dict[str, Any]:
    return {
        "model_type": "bloom",
        "vocab_size": metadata.rows("token_embd.weight"),
        "tie_word_embeddings": "output.weight" not in metadata.tensors,
        "seq_length": metadata.count("context_length"),
        "hidden_size": metadata.count("embedding_length"),
        "n_layer": metadata.count("block_count"),
        "n_head": metadata.count("attention.head_count"),
        "layer_norm_epsilon": metadata.number("attention.layer_norm_epsilon"),
    }


def _gpt2(metadata: Metadata) -> dict[str, Any]:
    return {
        "model_type": "gpt2",
        "vocab_size": metadata.rows("token_embd.weight"),
        "tie_word_embeddings": "output.weight" not in metadata.tensors,
        "n_positions": metadata.count("context_length"),
        "n_embd": metadata.count("embedding_length"),
        "n_layer": metadata.count("block_count"),
        "n_head": metadata.count("attention.head_count"),
        "n_inner": metadata.count("feed_forward_length"),
        "layer_norm_epsilon": metadata.get("attention.layer_norm_epsilon"),
    }


def _starcoder2(metadata: Metadata) -> dict[str, Any]:
    head_dim(metadata)
    return sizes(metadata) | {
        "model_type": "starcoder2",
        "norm_epsilon": metadata.number("attention.layer_norm_epsilon"),
        "use_bias": _has(metadata, "attn_q.bias"),
        "sliding_window": None,
    }


def _olmo(metadata: Metadata) -> dict[str, Any]:
    head_dim(metadata)
    epsilon = metadata.number("attention.layer_norm_epsilon")
    if abs(epsilon - 1e-5) > 1e-9:
        raise metadata.refusal(f"norms of OLMo with an epsilon of {epsilon} are not supported")
    clip = metadata.number("attention.clamp_kqv", 0.0)
    return sizes(metadata) | {"model_type": "olmo", "clip_qkv": clip or None}


def _olmo2(metadata: Metadata) -> dict[str, Any]:
    head_dim(metadata)
    fields = decoder(metadata)
    window = metadata.get("attention.sliding_window", 0)
    if not window:
        return fields | {"model_type": "olmo2"}
    if fields["rope_parameters"]["rope_type"] != "default":
        raise metadata.refusal("OLMo 3 with rotary scaling is not supported in GGUF files")
    return fields | {
        "model_type": "olmo3",
        "sliding_window": window,
        "layer_types": sliding_layers(metadata, fields["num_hidden_layers"], 4),
    }


def _granite(metadata: Metadata) -> dict[str, Any]:
    fields, width = decoder(metadata), head_dim(metadata)
    if metadata.get("rope.scaling.finetuned", True) is False:
        raise metadata.refusal("Granite without rotary embedding is not supported in GGUF files")
    return fields | {
        "model_type": "granite",
        "attention_bias": _has(metadata, "attn_q.bias"),
        "mlp_bias": _has(metadata, "ffn_up.bias"),
        "attention_multiplier": metadata.number("attention.scale", 0.0) or width**-0.5,
        "embedding_multiplier": metadata.number("embedding_scale", 0.0) or 1.0,
        "residual_multiplier": metadata.number("residual_scale", 0.0) or 1.0,
        "logits_scaling": metadata.number("logit_scale") or 1.0,
    }


def _minicpm(metadata: Metadata) -> dict[str, Any]:
    # Granite's factors under their names of before; llama.cpp takes these where the keys are missing.
    fields, width = decoder(metadata), head_dim(metadata)
    depth, hidden = fields["num_hidden_layers"], fields["hidden_size"]
    return fields | {
        "model_type": "granite",
        "attention_multiplier": width**-0.5,
        "embedding_multiplier": metadata.number("embedding_scale", 12.0),
        "residual_multiplier": metadata.number("residual_scale", 1.4 / depth**0.5),
        "logits_scaling": metadata.number("logit_scale", hidden / 256),
    }


def _cohere(metadata: Metadata) -> dict[str, Any]:
    head_dim(metadata)
    return sizes(metadata) | {
        "model_type": "cohere",
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon"),
        "logit_scale": metadata.number("logit_scale", 0.0) or 1.0,
    }


def _cohere2(metadata: Metadata) -> dict[str, Any]:
    fields = sizes(metadata)
    return fields | {
        "model_type": "cohere2",
        "head_dim": head_dim(metadata),
        "layer_norm_eps": metadata.number("attention.layer_norm_epsilon"),
        "logit_scale": metadata.number("logit_scale"),
        "sliding_window": metadata.count("attention.sliding_window"),
        "layer_types": sliding_layers(metadata, fields["num_hidden_layers"], 4),
    }


def _exaone4(metadata: Metadata) -> dict[str, Any]:
    fields = decoder(metadata)
    layers, window = fields["num_hidden_layers"], metadata.get("attention.sliding_window", 0)
    full = ["full_attention"] * layers
    return fields | {
        "model_type": "exaone4",
        "head_dim": head_dim(metadata),
        "sliding_window": window or None,
        "layer_types": sliding_layers(metadata, layers, 4) if window else full,
    }


def _nemotron(metadata: Metadata) -> dict[str, Any]:
    fields = sizes(metadata)
    fields["rope_parameters"]["partial_rotary_factor"] = turned_share(metadata)
    return fields | {
        "model_type": "nemotron",
        "head_dim": head_width(metadata),
        "norm_eps": metadata.number("attention.layer_norm_epsilon"),
        "attention_bias": _has(metadata, "attn_q.bias"),
        "mlp_bias": _has(metadata, "ffn_up.bias"),
    }


def _glm4(metadata: Metadata) -> dict[str, Any]:
    fields = decoder(metadata)
    if any(metadata.get("rope.dimension_sections", [])):
        raise metadata.refusal("GLM-4 with rows permuted for images is not supported in GGUF files")
    fields["rope_parameters"]["partial_rotary_factor"] = turned_share(metadata)
    return fields | {
        "model_type": "glm4",
        "head_dim": head_width(metadata),
        "attention_bias": _has(metadata, "attn_q.bias"),
    }


def _qwen(metadata: Metadata) -> dict[str, Any]:
    fields = decoder_of_before(metadata)
    return fields | {
        "model_type": "qwen",
        "kv_channels": head_dim(metadata),
        "layer_norm_epsilon": fields["rms_norm_eps"],
        "rotary_emb_base": fields["rope_parameters"]["rope_theta"],
    }


def _has(metadata: Metadata, tensor: str) -> bool:
    """Whether the first layer has a tensor."""
    return f"blk.0.{tensor}" in metadata.tensors


FAMILIES: dict[str, Callable[[Metadata], dict[str, Any]]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "gemma3": _gemma3,
    "phi3": _phi3,
    "gpt2": _gpt2,
    "arcee": _arcee,
    "bloom": _bloom,
    "cohere2": _cohere2,
    "command-r": _cohere,
    "exaone": _exaone,
    "exaone4": _exaone4,
    "gemma": _gemma,
    "gemma2": _gemma2,
    "glm4": _glm4,
    "gptneox": _gptneox,
    "granite": _granite,
    "lfm2": _lfm2,
    "minicpm": _minicpm,
    "nemotron": _nemotron,
    "olmo": _olmo,
    "olmo2": _olmo2,
    "olmoe": _olmoe,
    "phi2": _phi2,
    "qwen": _qwen,
    "qwen2moe": _qwen2moe,
    "qwen2vl": _qwen2vl,
    "qwen3moe": _qwen3moe,
    "qwen3vl": _qwen3vl,
    "seed_oss": _seed_oss,
    "smollm3": _smollm3,
    "stablelm": _stablelm,
    "starcoder2": _starcoder2,
}
