"""Tiny checkpoints of models that also see or hear, as transformers saves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

_TEXT = {
    "vocab_size": 160,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_EYES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 14,
}
# Qwen's names for the same.
_QWEN_EYES = {**_EYES, "depth": 1, "embed_dim": 32, "num_heads": 2, "out_hidden_size": 64}
_EARS = {"d_model": 32, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
_ROWS = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}}

MODELS: dict[str, dict[str, Any]] = {
    "gemma3": {
        "text_config": {**_TEXT, "model_type": "gemma3_text", "head_dim": 16, "sliding_window": 8},
        "vision_config": _EYES,
        "mm_tokens_per_image": 4,
    },
    "smolvlm": {
        "text_config": {**_TEXT, "model_type": "llama"},
        "vision_config": _EYES,
        "image_token_id": 150,
    },
    "llava": {
        "text_config": {**_TEXT, "model_type": "llama"},
        "vision_config": {"model_type": "clip_vision_model", **_EYES},
        "image_token_index": 150,
    },
    "mistral3": {
        "text_config": {**_TEXT, "model_type": "mistral", "head_dim": 16},
        "vision_config": {"model_type": "pixtral", "head_dim": 16, **_EYES},
    },
    "qwen2_vl": {
        "text_config": {**_TEXT, **_ROWS, "model_type": "qwen2_vl_text"},
        "vision_config": {**_QWEN_EYES, "hidden_size": 64, "mlp_ratio": 2},
    },
    "qwen2_5_vl": {
        "text_config": {**_TEXT, **_ROWS, "model_type": "qwen2_5_vl_text"},
        "vision_config": {**_QWEN_EYES, "fullatt_block_indexes": [0]},
    },
    "qwen3_vl": {
        "text_config": {**_TEXT, **_ROWS, "model_type": "qwen3_vl_text", "head_dim": 16},
        "vision_config": {**_QWEN_EYES, "deepstack_visual_indexes": [0]},
    },
    "qwen2_audio": {"text_config": {**_TEXT, "model_type": "qwen2"}, "audio_config": _EARS},
}


def write_multimodal(folder: Path, model_type: str) -> Any:
    """Save a model with random weights, and return it."""
    import transformers
    from transformers import AutoConfig

    config = AutoConfig.for_model(model_type, **MODELS[model_type])
    auto = transformers.AutoModelForMultimodalLM
    torch.manual_seed(0)
    model = auto.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, parameter.shape[-1] ** -0.5)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    model.save_pretrained(folder)
    return model
