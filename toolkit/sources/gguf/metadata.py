"""Typed access to the keys of a GGUF file's architecture, and what architectures have in common."""

from __future__ import annotations

from typing import Any

from toolkit.errors import SourceCorrupt, SourceError
from toolkit.sources.gguf.header import GgufHeader
from toolkit.sources.gguf.rotary import LONG_FACTORS, SHORT_FACTORS, llama3_rotary, long_rotary

_NO_DEFAULT: Any = object()
_FOLDER = "Use the model's safetensors folder."


class Metadata:
    """An architecture's keys; which of them were asked for is kept, so that none is passed over.

    Attributes:
        read: names of the keys that were asked for, with the architecture's prefix, and of the tensors that
            became a part of the config.
    """

    def __init__(self, header: GgufHeader) -> None:
        self.header = header
        self.tensors = header.tensors
        self.read: set[str] = set()

    def get(self, key: str, default: Any = _NO_DEFAULT) -> Any:
        """A value; without a default it must be there.

        Raises:
            SourceCorrupt: it is missing.
        """
        name = f"{self.header.architecture}.{key}"
        self.read.add(name)
        value = self.header.metadata.get(name, default)
        if value is _NO_DEFAULT:
            raise self._corrupt(f"metadata {name} is missing")
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

    def number(self, key: str, default: Any = _NO_DEFAULT) -> Any:
        """A finite number."""
        value = self.get(key, default)
        if value is default:
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise self._corrupt(f"metadata {self.header.architecture}.{key} is {value!r}")
        return float(value)

    def positive(self, key: str, default: float) -> float:
        """A finite number above 0."""
        value: float = self.number(key, default)
        if value <= 0:
            raise self._corrupt(f"metadata {self.header.architecture}.{key} is {value!r}, not above 0")
        return value

    def rows(self, tensor: str) -> int:
        """Rows of a tensor."""
        if tensor not in self.tensors:
            raise self._corrupt(f"tensor {tensor} is missing")
        return self.tensors[tensor].shape[0]

    def refusal(self, what: str) -> SourceError:
        """An error about something that the folder of the same model has, too."""
        return SourceError(what, subject=str(self.header.path), next_step=_FOLDER)

    def _corrupt(self, what: str) -> SourceCorrupt:
        return SourceCorrupt(what, subject=str(self.header.path), next_step="Get the file again.")


def sizes(metadata: Metadata) -> dict[str, Any]:
    """What all architectures but gpt2 and bloom share."""
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
        "rope_parameters": rotary(metadata),
    }


def decoder(metadata: Metadata) -> dict[str, Any]:
    """Sizes of a decoder with RMS norms."""
    return sizes(metadata) | {"rms_norm_eps": metadata.number("attention.layer_norm_rms_epsilon")}


def decoder_of_before(metadata: Metadata) -> dict[str, Any]:
    """The same of architectures whose configs call it a layer norm's epsilon; their files say either."""
    key = "attention.layer_norm_epsilon"
    return sizes(metadata) | {
        "rms_norm_eps": metadata.number("attention.layer_norm_rms_epsilon", None) or metadata.number(key)
    }


def rotary(metadata: Metadata) -> dict[str, Any]:
    """Rotary scaling, where parameters or Llama 3's factors say it."""
    theta = metadata.positive("rope.freq_base", 10000.0)
    if "rope_freqs.weight" in metadata.tensors:
        metadata.read.add("rope_freqs.weight")
        return llama3_rotary(metadata.header, theta)
    # As llama.cpp: a factor without a type scales linearly, and scale_linear is the factor's older name.
    kind = metadata.get("rope.scaling.type", "linear") or "linear"
    factor = metadata.number("rope.scaling.factor", 0.0) or metadata.number("rope.scale_linear", 0.0) or 1.0
    if kind == "none" or (kind == "linear" and factor == 1.0):
        return {"rope_type": "default", "rope_theta": theta}
    parameters = {"rope_type": kind, "rope_theta": theta, "factor": factor}
    if kind == "yarn":
        parameters["original_max_position_embeddings"] = original_context(metadata)
    elif kind == "longrope" and LONG_FACTORS in metadata.tensors and factor == 1.0:
        return long_factors(metadata, theta)
    elif kind != "linear":
        raise metadata.refusal(f"rotary scaling {kind!r} by {factor:g} is not supported in GGUF files")
    return parameters


def long_factors(metadata: Metadata, theta: float) -> dict[str, Any]:
    """The scaling that a file's long and short factors say."""
    metadata.read |= {LONG_FACTORS, SHORT_FACTORS}
    parameters = long_rotary(metadata.header, theta, original_context(metadata))
    # As llama.cpp, which computes no factor of its own from the lengths.
    parameters["attention_factor"] = metadata.positive("rope.scaling.attn_factor", 1.0)
    return parameters


def original_context(metadata: Metadata) -> int:
    """Positions that the model was trained on before its rotary embedding was scaled."""
    # As llama.cpp: without the key, its whole context.
    original: int = metadata.count("rope.scaling.original_context_length", metadata.count("context_length"))
    return original


def head_dim(metadata: Metadata) -> int:
    """Width of heads that turn whole.

    Raises:
        SourceError: only a part of them turns, or values have another width.
    """
    width = head_width(metadata)
    rotated = metadata.count("rope.dimension_count", width)
    if rotated != width:
        raise metadata.refusal(f"rotary embedding over {rotated} of {width} dimensions is not supported")
    return width


def head_width(metadata: Metadata) -> int:
    """Width of heads.

    Raises:
        SourceError: values have another one than keys.
    """
    width: int = metadata.count(
        "attention.key_length", metadata.count("embedding_length") // metadata.count("attention.head_count")
    )
    if (values := metadata.count("attention.value_length", width)) != width:
        raise metadata.refusal(f"values of {values} beside keys of {width} dimensions are not supported")
    return width


def turned_share(metadata: Metadata) -> float:
    """Share of each head that turns."""
    width = head_width(metadata)
    share: float = metadata.count("rope.dimension_count", width) / width
    return share


def sliding_layers(metadata: Metadata, layers: int, period: int) -> list[str]:
    """Which layers slide: as the file says, else all but each ``period``-th, as llama.cpp has it."""
    pattern = metadata.get("attention.sliding_window_pattern", period)
    if isinstance(pattern, int) and not isinstance(pattern, bool) and pattern > 0:
        pattern = [(layer + 1) % pattern != 0 for layer in range(layers)]
    if not isinstance(pattern, list) or len(pattern) != layers:
        raise metadata.refusal(f"attention.sliding_window_pattern is {pattern!r}, for {layers} layers")
    return ["sliding_attention" if slides else "full_attention" for slides in pattern]
