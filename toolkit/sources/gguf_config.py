"""Build the transformers config of a GGUF file from its metadata and tensor shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolkit.errors import SourceCorrupt, SourceError, UnsupportedModel
from toolkit.sources.gguf_header import GgufHeader

if TYPE_CHECKING:
    from transformers import PretrainedConfig

# Tokens that end a turn in common chat formats; a file names one end token only, chats end with these.
_END_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<|end|>")
_CONTROL_TOKEN = 3
_NO_DEFAULT: Any = object()


def read_config(header: GgufHeader) -> PretrainedConfig:
    """The config of the file's text decoder.

    Raises:
        UnsupportedModel: an architecture that is not known here.
        SourceCorrupt: metadata that the architecture needs is missing or of the wrong type.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    if header.architecture not in _BUILDERS:
        raise UnsupportedModel(
            f"GGUF architecture {header.architecture!r} is not supported",
            subject=str(header.path),
            next_step=f"Supported: {', '.join(_BUILDERS)}. Other models load from their safetensors folder.",
        )
    fields = _BUILDERS[header.architecture](_Metadata(header)) | _token_ids(header)
    model_type = fields.pop("model_type")
    try:
        return AutoConfig.for_model(model_type, **fields)
    except (StrictDataclassError, ValueError, TypeError) as error:
        raise SourceCorrupt(
            f"its metadata makes no model: {' '.join(str(error).split())[:200]}",
            subject=str(header.path),
            next_step="Get the file again.",
        ) from None


def end_token_ids(header: GgufHeader) -> list[int]:
    """Tokens that end generation: the ones the file names, then end-of-turn tokens in its vocabulary."""
    metadata = header.metadata
    named = [metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("eos", "eot", "eom")]
    ids = [token_id for token_id in named if isinstance(token_id, int)]
    types = metadata.get("tokenizer.ggml.token_type", [])
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    if "tokenizer.chat_template" in metadata:
        position = {token: index for index, token in enumerate(tokens)}
        turns = (position.get(token, len(types)) for token in _END_OF_TURN)
        ids += [index for index in turns if index < len(types) and types[index] == _CONTROL_TOKEN]
    return list(dict.fromkeys(ids))


class _Metadata:
    """Typed access to an architecture's keys."""

    def __init__(self, header: GgufHeader) -> None:
        self.header = header
        self.tensors = header.tensors

    def get(self, key: str, default: Any = _NO_DEFAULT) -> Any:
        value = self.header.metadata.get(f"{self.header.architecture}.{key}", default)
        if value is _NO_DEFAULT:
            raise self._corrupt(f"metadata {self.header.architecture}.{key} is missing")
        return value

    def count(self, key: str, default: Any = _NO_DEFAULT) -> Any:
        """A positive whole number; some converters write one per layer, which must then agree."""
        value = self.get(key, default)
        if value is default:
            return value
        if isinstance(value, list) and value and value.count(value[0]) == len(value):
            value = value[0]
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise self._corrupt(f"metadata {self.header.architecture}.{key} is {value!r}")
        return value

    def rows(self, tensor: str) -> int:
        if tensor not in self.tensors:
            raise self._corrupt(f"tensor {tensor} is missing")
        return self.tensors[tensor].shape[0]

    def _corrupt(self, what: str) -> SourceCorrupt:
        return SourceCorrupt(what, subject=str(self.header.path), next_step="Get the file again.")


def _token_ids(header: GgufHeader) -> dict[str, Any]:
    ends = end_token_ids(header)
    return {
        "bos_token_id": header.metadata.get("tokenizer.ggml.bos_token_id"),
        "eos_token_id": ends[0] if len(ends) == 1 else ends or None,
        "pad_token_id": header.metadata.get("tokenizer.ggml.padding_token_id"),
    }


def _decoder(metadata: _Metadata) -> dict[str, Any]:
    """What all architectures but gpt2 share."""
    heads = metadata.count("attention.head_count")
    return {
        "vocab_size": metadata.rows("token_embd.weight"),
        "tie_word_embeddings": "output.weight" not in metadata.tensors,
        "max_position_embeddings": metadata.count("context_length"),
        "num_hidden_layers": metadata.count("block_count"),
        "hidden_size": metadata.count("embedding_length"),
        "intermediate_size": metadata.count("feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": metadata.count("attention.head_count_kv", heads),
        "rms_norm_eps": metadata.get("attention.layer_norm_rms_epsilon"),
        "rope_parameters": _rotary(metadata),
    }


def _rotary(metadata: _Metadata) -> dict[str, Any]:
    theta = metadata.get("rope.freq_base", 10000.0)
    # As llama.cpp: a factor without a type scales linearly, and scale_linear is the factor's older name.
    kind = metadata.get("rope.scaling.type", "linear") or "linear"
    factor = metadata.get("rope.scaling.factor", 0.0) or metadata.get("rope.scale_linear", 0.0) or 1.0
    if kind == "none" or (kind == "linear" and factor == 1.0):
        return {"rope_type": "default", "rope_theta": theta}
    parameters = {"rope_type": kind, "rope_theta": theta, "factor": factor}
    if kind == "yarn":
        parameters["original_max_position_embeddings"] = metadata.count(
            "rope.scaling.original_context_length"
        )
    elif kind != "linear":
        raise SourceError(
            f"rotary scaling {kind!r} is not supported in GGUF files",
            subject=str(metadata.header.path),
            next_step="Use the model's safetensors folder.",
        )
    return parameters


def _head_dim(metadata: _Metadata) -> int:
    head_dim: int = metadata.count(
        "attention.key_length", metadata.count("embedding_length") // metadata.count("attention.head_count")
    )
    rotated = metadata.count("rope.dimension_count", head_dim)
    if rotated != head_dim:
        raise SourceError(
            f"rotary embedding over {rotated} of {head_dim} dimensions is not supported",
            subject=str(metadata.header.path),
            next_step="Use the model's safetensors folder.",
        )
    return head_dim


def _llama(metadata: _Metadata) -> dict[str, Any]:
    fields = _decoder(metadata)
    if "rope_freqs.weight" in metadata.tensors:
        from toolkit.sources.gguf_rotary import llama3_rotary

        fields["rope_parameters"] = llama3_rotary(metadata.header, fields["rope_parameters"]["rope_theta"])
    return fields | {
        "model_type": "llama",
        "head_dim": _head_dim(metadata),
        "attention_bias": "blk.0.attn_q.bias" in metadata.tensors,
        "mlp_bias": "blk.0.ffn_up.bias" in metadata.tensors,
    }


def _qwen2(metadata: _Metadata) -> dict[str, Any]:
    return _decoder(metadata) | {"model_type": "qwen2"}


def _qwen3(metadata: _Metadata) -> dict[str, Any]:
    return _decoder(metadata) | {
        "model_type": "qwen3",
        "head_dim": _head_dim(metadata),
        "attention_bias": "blk.0.attn_q.bias" in metadata.tensors,
    }


def _gemma3(metadata: _Metadata) -> dict[str, Any]:
    head_dim = _head_dim(metadata)
    fields = _decoder(metadata)
    # Only 27B, with 62 layers, scales queries by the width per head; llama.cpp tells it the same way.
    wide = fields["num_hidden_layers"] == 62
    return (
        fields
        | _sliding_layers(metadata, fields["num_hidden_layers"])
        | {
            "model_type": "gemma3_text",
            "head_dim": head_dim,
            "query_pre_attn_scalar": fields["hidden_size"] // fields["num_attention_heads"]
            if wide
            else head_dim,
            "sliding_window": metadata.count("attention.sliding_window"),
            "rope_parameters": {
                "full_attention": fields["rope_parameters"],
                "sliding_attention": {
                    "rope_type": "default",
                    "rope_theta": metadata.get("rope.freq_base_swa", 10000.0),
                },
            },
        }
    )


def _sliding_layers(metadata: _Metadata, layers: int) -> dict[str, Any]:
    """Which layers slide, where the file says so; the config's default is Gemma 3's five to one."""
    pattern = metadata.get("attention.sliding_window_pattern", None)
    if isinstance(pattern, int) and pattern > 0:
        pattern = [(layer + 1) % pattern != 0 for layer in range(layers)]
    if not isinstance(pattern, list) or len(pattern) != layers:
        return {}
    return {"layer_types": ["sliding_attention" if slides else "full_attention" for slides in pattern]}


def _phi3(metadata: _Metadata) -> dict[str, Any]:
    fields = _decoder(metadata)
    head_dim = fields["hidden_size"] // fields["num_attention_heads"]
    if "rope_factors_long.weight" in metadata.tensors:
        from toolkit.sources.gguf_rotary import long_rotary

        original = metadata.count("rope.scaling.original_context_length")
        fields["rope_parameters"] = long_rotary(
            metadata.header, fields["rope_parameters"]["rope_theta"], original
        )
        # llama.cpp's converter writes what transformers computes; the file's own value holds.
        if factor := metadata.get("rope.scaling.attn_factor", 0.0):
            fields["rope_parameters"]["attention_factor"] = factor
        fields["original_max_position_embeddings"] = original
    fields["rope_parameters"]["partial_rotary_factor"] = (
        metadata.count("rope.dimension_count", head_dim) / head_dim
    )
    window = metadata.get("attention.sliding_window", 0)
    return fields | {
        "model_type": "phi3",
        # llama.cpp writes the window also where it covers the whole context.
        "sliding_window": window if 0 < window < fields["max_position_embeddings"] else None,
    }


def _gpt2(metadata: _Metadata) -> dict[str, Any]:
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


_BUILDERS: dict[str, Callable[[_Metadata], dict[str, Any]]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "gemma3": _gemma3,
    "phi3": _phi3,
    "gpt2": _gpt2,
}
