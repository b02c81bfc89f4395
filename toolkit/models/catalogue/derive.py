"""Facts of a model out of its config and the shapes of its parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from toolkit.models.catalogue.entry import Architecture, AttentionKind, Parameters, PerLayer, attention_kind

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Shape = tuple[int, ...]

_ACTIVATIONS = {
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "swish": "silu",
}
# Model types whose activation is no field of the config.
_FIXED_ACTIVATIONS = {"bloom": "gelu_tanh", "lfm2": "silu"}
# What else than attention may carry information between tokens, by the config's word for a layer.
_MIXERS = {
    "conv": "short convolution",
    "linear_attention": "linear attention",
    "mamba": "Mamba",
    "mamba2": "Mamba-2",
    "recurrent": "RG-LRU",
}
_LAYER = re.compile(r"(?:^|\.)(\d+)\.(.+)")
_MIXER_NAMES = ("attn", "attention", "mixer", "mamba", "conv", "temporal", "recurrent", "ssm")


def architecture(
    config: PretrainedConfig, shapes: Mapping[str, Shape], modules: Mapping[str, str]
) -> Architecture:
    """What the layers are.

    Args:
        config: of the text decoder.
        shapes: of every parameter of the model that the config makes.
        modules: class name of the module that owns each parameter.
    """
    sizes = _normalized(config)
    hidden, heads = _whole(sizes, "hidden_size"), _whole(sizes, "num_attention_heads")
    kv_heads = _whole(sizes, "num_key_value_heads")
    if kv_heads is None and heads is not None:
        # One projection for keys and values of their own came later than multi-head attention.
        kv_heads = 1 if getattr(config, "multi_query", False) else heads
    each, each_kv = _per_layer(config, "num_query_heads"), _per_layer(config, "num_kv_heads")
    layers = _whole(sizes, "num_layers")
    latent = getattr(config, "kv_lora_rank", None) is not None
    kind: AttentionKind | None = None
    if heads is not None and kv_heads is not None:
        kind = "MLA" if latent else attention_kind(heads, kv_heads)
    feed_forward, width = _feed_forward(shapes, hidden)
    positions = _positions(config, shapes, modules)
    return Architecture(
        attention=kind,
        layers=layers,
        hidden_size=hidden,
        heads=each or heads,
        kv_heads=each_kv or kv_heads,
        head_dim=_head_dim(config, hidden, heads),
        feed_forward=feed_forward,
        intermediate_size=width,
        activation=_activation(config),
        norm=_norm(modules),
        positions=positions,
        rotary_fraction=_rotary_fraction(config) if positions == "rope" else None,
        vocabulary=_whole(sizes, "vocab_size"),
        tied_embeddings=bool(getattr(config, "tie_word_embeddings", False)),
        window=_window(config),
        context=_first(config, "max_position_embeddings", "n_positions", "max_seq_len", "seq_length"),
        other_mixers=_other_mixers(config, layers),
    )


def parameters(config: PretrainedConfig, shapes: Mapping[str, Shape]) -> Parameters | None:
    """Counts over all parameters, of which a tied output matrix is not one.

    None where the config does not name the sizes of a vocabulary that is stored twice.
    """
    unique = sum(math.prod(shape) for shape in shapes.values())
    sizes = _normalized(config)
    vocabulary, hidden = _whole(sizes, "vocab_size"), _whole(sizes, "hidden_size")
    tied = bool(getattr(config, "tie_word_embeddings", False))
    if vocabulary is None or hidden is None:
        return None
    experts = _first(config, "num_local_experts", "num_experts", "n_routed_experts")
    chosen = _first(config, "num_experts_per_tok", "num_experts_per_token", "top_k_experts")
    active: int | None = None
    if experts and chosen:
        # The matrices of all experts are one tensor.
        matrices = [shape for shape in shapes.values() if len(shape) == 3 and shape[0] == experts]
        unused = sum(math.prod(shape) for shape in matrices) * (experts - chosen) // experts
        active = unique - unused if matrices else None
    return Parameters(unique=unique, stored=unique + (vocabulary * hidden if tied else 0), active=active)


def _normalized(config: PretrainedConfig) -> Any:
    """Optimum's view of the config: the same names whatever the model type calls its fields."""
    from optimum.utils.normalized_config import NormalizedConfigManager, NormalizedTextConfigWithGQA

    try:
        return NormalizedConfigManager.get_normalized_config_class(config.model_type)(config)
    except KeyError:
        return NormalizedTextConfigWithGQA(config)


def _whole(sizes: Any, name: str) -> int | None:
    """A number, or None where the config has none or several."""
    try:
        value = getattr(sizes, name)
    except AttributeError:
        return None
    return value if isinstance(value, int) else None


def _first(config: PretrainedConfig, *names: str) -> int | None:
    for name in names:
        value = getattr(config, name, None)
        if isinstance(value, int):
            return value
    return None


def _per_layer(config: PretrainedConfig, name: str) -> tuple[int, ...] | None:
    """A number for each layer, where a config has such."""
    value = getattr(config, name, None)
    return tuple(value) if isinstance(value, list) else None


def _head_dim(config: PretrainedConfig, hidden: int | None, heads: int | None) -> int | None:
    plain, turned = _first(config, "qk_nope_head_dim"), _first(config, "qk_rope_head_dim")
    if plain is not None and turned is not None:
        return plain + turned
    own = getattr(config, "head_dim", None)
    if isinstance(own, int):
        return own
    return hidden // heads if hidden and heads else None


def _activation(config: PretrainedConfig) -> str | None:
    if config.model_type in _FIXED_ACTIVATIONS:
        return _FIXED_ACTIVATIONS[config.model_type]
    for name in ("hidden_activation", "hidden_act", "activation_function"):
        value = getattr(config, name, None)
        if isinstance(value, str):
            return _ACTIVATIONS.get(value, value)
    return None


def _norm(modules: Mapping[str, str]) -> str | None:
    kinds = {kind for owner in modules.values() for kind in ("RMSNorm", "LayerNorm") if kind in owner}
    return kinds.pop() if len(kinds) == 1 else None


def _positions(
    config: PretrainedConfig, shapes: Mapping[str, Shape], modules: Mapping[str, str]
) -> str | None:
    if getattr(config, "position_embedding_type", None) == "nope":
        return "none"
    if config.model_type == "bloom" or getattr(config, "alibi", False):
        return "alibi"
    embedded = [name for name in shapes if "Embedding" in modules[name]]
    if any("pos" in name.rpartition(".")[0] or name.endswith("wpe.weight") for name in embedded):
        return "learned"
    return "rope" if getattr(config, "rope_parameters", None) else None


def _rotary_fraction(config: PretrainedConfig) -> float | None:
    plain, turned = _first(config, "qk_nope_head_dim"), _first(config, "qk_rope_head_dim")
    if plain is not None and turned is not None:
        return turned / (plain + turned)
    rope = config.rope_parameters
    kinds = [one for one in rope.values() if isinstance(one, dict)] or [rope]
    fractions = {float(kind.get("partial_rotary_factor", 1.0)) for kind in kinds}
    return fractions.pop() if len(fractions) == 1 else None


def _window(config: PretrainedConfig) -> int | None:
    local = _first(config, "attention_window_size")
    if local is not None:
        return local
    window, context = (
        getattr(config, "sliding_window", None),
        getattr(config, "max_position_embeddings", None),
    )
    kinds = getattr(config, "layer_types", None)
    if not isinstance(window, int) or (kinds is not None and "sliding_attention" not in kinds):
        return None
    # A window as wide as the longest text leaves nothing out.
    return window if not isinstance(context, int) or window < context else None


def _other_mixers(config: PretrainedConfig, layers: int | None) -> str | None:
    kinds = getattr(config, "layer_types", None)
    blocks = getattr(config, "block_types", None)
    if blocks and layers:
        kinds = [blocks[index % len(blocks)] for index in range(layers)]
    if not kinds:
        return None
    counted = {name: sum(kind == word for kind in kinds) for word, name in _MIXERS.items()}
    parts = [f"{name} in {count} of {len(kinds)} layers" for name, count in counted.items() if count]
    return ", ".join(parts) or None


def _feed_forward(shapes: Mapping[str, Shape], hidden: int | None) -> tuple[Any, PerLayer | None]:
    """Kind and width, from the matrices between the hidden size and something wider.

    Gate and up are two matrices or one of twice the width; the narrowest is the way back.
    """
    if hidden is None:
        return None, None
    widths: dict[int, list[int]] = {}
    for layer, shape in _outside_mixers(shapes):
        if len(shape) == 2 and hidden in shape:
            other = shape[0] if shape[1] == hidden else shape[1]
            widths.setdefault(layer, []).append(other)
    kinds = {_KINDS.get(sum(found) / min(found)) for found in widths.values()}
    if len(kinds) != 1 or kinds == {None}:
        return None, None
    each = tuple(min(widths[layer]) for layer in sorted(widths))
    return kinds.pop(), each[0] if len(set(each)) == 1 else each


_KINDS = {2.0: "dense", 3.0: "gated"}


def _outside_mixers(shapes: Mapping[str, Shape]) -> Iterator[tuple[int, Shape]]:
    for name, shape in shapes.items():
        match = _LAYER.search(name)
        if match and not any(word in match[2].lower() for word in _MIXER_NAMES):
            yield int(match[1]), shape
