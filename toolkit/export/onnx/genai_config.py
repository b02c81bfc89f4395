"""genai_config.json, with which onnxruntime-genai loads the artifact's folder as it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.artifact import Architecture
from toolkit.models.layers import Layer, attention_of, states_of

# onnxruntime-genai treats these alike and refuses names it does not list. It lists gpt2 too, but expects
# that type's cache in another layout than every other decoder's, so gpt2 goes by the fallback's name.
_KNOWN_TYPES = (
    "gemma2", "gemma3_text", "granite", "llama", "mistral", "olmo", "phi", "phi3", "qwen2", "qwen3",
    "smollm3",
)  # fmt: skip


def has_genai_config(layers: Sequence[Layer]) -> bool:
    """Whether onnxruntime-genai can run such layers: keys and values in each, and no other state.

    Layers that read another one's keys and values come last, since it binds those of a number of layers.
    """
    count = _layers_with_states(layers)
    return all(state.name.endswith((".key", ".value")) for state in states_of(layers)) and all(
        bool(layer.states) == (index < count) and layer.mixers for index, layer in enumerate(layers)
    )


def _layers_with_states(layers: Sequence[Layer]) -> int:
    return sum(bool(layer.states) for layer in layers)


def write_genai_config(
    folder: Path,
    architecture: Architecture,
    *,
    context_length: int,
    has_position_ids: bool,
    tokens: dict[str, Any],
) -> None:
    """Write the file.

    Args:
        folder: the artifact's folder.
        architecture: facts of the decoder.
        context_length: tokens that prompt and answer may have together.
        has_position_ids: whether the graph has that input.
        tokens: bos_token_id, eos_token_id (one or a list) and pad_token_id, where known.
    """
    inputs = {
        "input_ids": "input_ids",
        "attention_mask": "attention_mask",
        "past_key_names": "past_key_values.%d.key",
        "past_value_names": "past_key_values.%d.value",
    }
    if has_position_ids:
        inputs["position_ids"] = "position_ids"
    model_type = architecture.model_type if architecture.model_type in _KNOWN_TYPES else "llama"
    # The format has one number for all layers.
    attention = attention_of(architecture.layers)
    end = tokens.get("eos_token_id")
    first_end = end[0] if isinstance(end, list) else end
    ids = {
        # A number is wanted here, too; -1 is none, where the end token would be prepended by some.
        "bos_token_id": _or(tokens.get("bos_token_id"), -1),
        # Without an end token the list is empty: 0 would be a token that ends texts.
        "eos_token_id": [] if end is None else end,
        # The engine wants a number; it fills up batches, and an artifact holds one text.
        "pad_token_id": _or(tokens.get("pad_token_id"), first_end, 0),
    }
    config = {
        "model": {
            "type": model_type,
            "vocab_size": architecture.vocab_size,
            "context_length": context_length,
            **ids,
            "decoder": {
                "filename": "model.onnx",
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "head_size": max(one.head_dim for one in attention),
                "hidden_size": architecture.hidden_size,
                "num_attention_heads": max(one.heads for one in attention),
                "num_hidden_layers": _layers_with_states(architecture.layers),
                "num_key_value_heads": max(one.kv_heads for one in attention),
                "inputs": inputs,
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {
            "do_sample": False,
            "max_length": context_length,
            "past_present_share_buffer": True,
        },
    }
    (folder / "genai_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _or(*candidates: Any) -> Any:
    """The first candidate that is set; 0 is a token id."""
    return next(candidate for candidate in candidates if candidate is not None)
