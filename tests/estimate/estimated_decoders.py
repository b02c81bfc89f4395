"""Decoders of the usual architectures, large enough for their weights to show beside the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_LLAMA = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "vocab_size": 12288,
    "max_position_embeddings": 2048,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
_GPT2 = {"vocab_size": 12288, "bos_token_id": 1, "eos_token_id": 2}

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {**_LLAMA, "model_type": "llama", "tie_word_embeddings": True},
    "llama-untied": {**_LLAMA, "model_type": "llama", "num_key_value_heads": 6, "tie_word_embeddings": False},
    "qwen2": {**_LLAMA, "model_type": "qwen2", "tie_word_embeddings": True},
    "qwen3": {**_LLAMA, "model_type": "qwen3", "head_dim": 96},
    "mistral": {**_LLAMA, "model_type": "mistral", "sliding_window": 256},
    "gemma": {**_LLAMA, "model_type": "gemma", "head_dim": 128, "vocab_size": 49152},
    "gemma3": {**_LLAMA, "model_type": "gemma3_text", "head_dim": 128, "sliding_window": 256},
    "phi": {**_LLAMA, "model_type": "phi"},
    "phi3": {**_LLAMA, "model_type": "phi3"},
    "gpt2": {
        **_GPT2,
        "model_type": "gpt2",
        "n_positions": 2048,
        "n_embd": 384,
        "n_layer": 4,
        "n_head": 6,
    },
    "gpt-neox": {**_LLAMA, "model_type": "gpt_neox"},
    "opt": {**_LLAMA, "model_type": "opt", "ffn_dim": 1536, "word_embed_proj_dim": 384},
    "bloom": {**_GPT2, "model_type": "bloom", "hidden_size": 384, "n_layer": 4, "n_head": 6},
    "stablelm": {**_LLAMA, "model_type": "stablelm"},
    "olmo2": {**_LLAMA, "model_type": "olmo2"},
    "starcoder2": {**_LLAMA, "model_type": "starcoder2"},
    "smollm3": {**_LLAMA, "model_type": "smollm3"},
    "granite": {**_LLAMA, "model_type": "granite"},
    # Of each token and layer a row of 64 and a rotated key of 16, which all heads share.
    "minicpm3": {
        **_LLAMA,
        "model_type": "minicpm3",
        "num_key_value_heads": 6,
        "q_lora_rank": 192,
        "kv_lora_rank": 64,
        "qk_nope_head_dim": 32,
        "qk_rope_head_dim": 16,
        "v_head_dim": 64,
        "tie_word_embeddings": True,
    },
    # Its last two layers read what the two before them keep.
    "gemma4-shared": {
        **_LLAMA,
        "model_type": "gemma4_text",
        "head_dim": 64,
        "global_head_dim": 128,
        "sliding_window": 256,
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_kv_shared_layers": 2,
        "vocab_size_per_layer_input": 12288,
        "hidden_size_per_layer_input": 16,
    },
}


def random_model(name: str, folder: Path) -> str:
    """The model as `slm convert` takes it."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(CONFIGS[name]))
    return f"random:{file}"
