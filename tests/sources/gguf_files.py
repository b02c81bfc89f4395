"""Write small models as GGUF files, laid out as llama.cpp's converter does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray

from toolkit.sources import ModelSource

# Built-in config -> architecture in the GGUF file.
GGUF_ARCHITECTURES = {
    "llama-tiny": "llama",
    "mistral-tiny": "llama",
    "qwen2-tiny": "qwen2",
    "qwen3-tiny": "qwen3",
    "phi3-tiny": "phi3",
    "gemma3-tiny": "gemma3",
    "gpt2-tiny": "gpt2",
}

WriteGguf = Callable[..., Path]


def write_model(
    path: Path,
    source: ModelSource,
    architecture: str,
    *,
    matrix_type: str = "F32",
    skip: tuple[str, ...] = (),
    metadata: dict[str, Any] | None = None,
    tensors: dict[str, NDArray[np.float32]] | None = None,
) -> None:
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in (_metadata(source.config, architecture) | (metadata or {})).items():
        add_key(writer, key, value)
    arch = next(key for key, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture)
    names = gguf.get_tensor_name_map(arch, source.config.num_hidden_layers)
    for parameter in source.weights.names():
        module, _, suffix = parameter.rpartition(".")
        name = f"{names.get_name(module)}.{suffix}"
        if name not in skip:
            add_tensor(writer, name, _converted(parameter, source), matrix_type)
    for name, values in (tensors or {}).items():
        add_tensor(writer, name, values, "F32")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _metadata(config: Any, architecture: str) -> dict[str, Any]:
    tokens = [f"t{index}" for index in range(config.vocab_size)]
    fields = {
        "general.name": "tiny",
        f"{architecture}.context_length": config.max_position_embeddings,
        f"{architecture}.block_count": config.num_hidden_layers,
        f"{architecture}.embedding_length": config.hidden_size,
        f"{architecture}.attention.head_count": config.num_attention_heads,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
    if architecture == "gpt2":
        return fields | {
            "gpt2.feed_forward_length": 4 * config.n_embd,
            "gpt2.attention.layer_norm_epsilon": config.layer_norm_epsilon,
        }
    rope = config.rope_parameters.get("full_attention", config.rope_parameters)
    fields |= {
        f"{architecture}.feed_forward_length": config.intermediate_size,
        f"{architecture}.attention.head_count_kv": config.num_key_value_heads,
        f"{architecture}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{architecture}.rope.freq_base": rope["rope_theta"],
    }
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    fields[f"{architecture}.rope.dimension_count"] = head_dim
    fields[f"{architecture}.attention.key_length"] = head_dim
    if architecture == "gemma3":
        fields["gemma3.attention.sliding_window"] = config.sliding_window
    return fields


def add_key(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        (writer.add_int32 if value < 0 else writer.add_uint32)(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, list):
        writer.add_array(key, value)
    else:
        writer.add_string(key, value)


def add_tensor(writer: gguf.GGUFWriter, name: str, values: NDArray[np.float32], matrix_type: str) -> None:
    # llama.cpp keeps vectors, and gpt2's positions, in full precision.
    if values.ndim < 2 or name == "position_embd.weight" or matrix_type == "F32":
        writer.add_tensor(name, values)
        return
    kind = gguf.GGMLQuantizationType[matrix_type]
    writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)


def _converted(parameter: str, source: ModelSource) -> NDArray[np.float32]:
    """What convert_hf_to_gguf.py does to the values."""
    config = source.config
    values = source.weights.read(parameter)
    if config.model_type in ("llama", "mistral"):
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        for projection, count in heads.items():
            if projection in parameter:
                half = values.shape[0] // count // 2
                values = (
                    values.reshape(count, 2, half, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
                )
    if config.model_type == "gemma3_text" and parameter.endswith("norm.weight"):
        values = values + 1
    if config.model_type == "gpt2" and parameter.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight")):
        values = values.T
    return np.ascontiguousarray(torch.as_tensor(values).numpy())
