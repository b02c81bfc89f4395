"""A decoder's sizes out of facts about its layers, where no graph of it is at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from toolkit.models.catalogue.entry import Entry, PerLayer
from toolkit.models.layers import Attention, FeedForward, LatentAttention, Layer, MixtureOfExperts
from toolkit.models.shape import DecoderShape, MatrixShape, Part

# Model types whose feed-forwards have one projection before the activation.
_DENSE = frozenset(
    "bloom codegen falcon gpt2 gpt_bigcode gpt_neo gpt_neox gptj mpt nemotron opt phi starcoder2".split()
)
# How configs call the number of layers.
LAYER_COUNTS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_transformer_layers")
# config.json's words for a layer that keeps keys and values.
_ATTENDING = frozenset(
    "full_attention sliding_attention chunked_attention indexed_attention deepseek_sparse_attention "
    "attention global local".split()
)
# More parameters than that share beyond the known matrices are matrices that are not known.
_UNKNOWN_SHARE = 0.02


@dataclass(frozen=True)
class LayerFacts:
    """One layer in numbers.

    Attributes:
        heads, kv_heads, head_dim: of its attention; no heads for a layer without one.
        inner: width of the feed-forward, of one expert where there are several.
        gated: two projections are multiplied with each other.
        window: tokens that it sees; None for all.
        experts, experts_used: 1 and 1 without experts.
        shares_cache_of: layer whose keys and values it reads; None if it makes its own.
        latent: its attention, where that keeps compressed rows.
        query_rank: of the row that its queries are expanded from; None if they are projected at once.
    """

    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    gated: bool
    window: int | None = None
    experts: int = 1
    experts_used: int = 1
    shares_cache_of: int | None = None
    latent: LatentAttention | None = None
    query_rank: int | None = None


def shape_of_facts(
    layers: Sequence[LayerFacts],
    *,
    hidden_size: int,
    vocabulary: int,
    tied: bool,
    unique_parameters: int | None = None,
    rotary: bool = True,
    longest: int | None = None,
) -> DecoderShape:
    """Sizes of a decoder of which the layers are known by number only.

    Args:
        layers: in order.
        hidden_size: of the residual stream.
        vocabulary: tokens.
        tied: embedding and output projection are one matrix.
        unique_parameters: as counted elsewhere; what the known matrices lack of it is added.
        rotary: positions are rotations.
        longest: positions that it was trained for.
    """
    embedding = "model.embed_tokens.weight"
    matrices = [MatrixShape(embedding, "embedding", vocabulary, hidden_size)]
    for index, one in enumerate(layers):
        matrices += _matrices(index, one, hidden_size)
    matrices.append(MatrixShape(embedding if tied else "lm_head.weight", "lm_head", vocabulary, hidden_size))
    # The matrix that expands compressed rows stays in float32 (capture/latent.py).
    expanding = sum(
        one.heads * one.latent_dim * (one.head_dim + one.value_dim)
        for one in (each.latent for each in layers)
        if one
    )
    norms = (2 * len(layers) + 1) * hidden_size + expanding
    shape = DecoderShape(
        hidden_size=hidden_size,
        vocabulary=vocabulary,
        layers=tuple(_layer(index, one) for index, one in enumerate(layers)),
        matrices=tuple(matrices),
        other_parameters=norms,
        tied=tied,
        parts=_parts(matrices),
        rotary_dims=(layers[0].head_dim,) if rotary and layers else (),
        longest=longest,
    )
    missing = 0 if unique_parameters is None else unique_parameters - shape.unique_parameters
    if missing <= 0 or unique_parameters is None:
        return shape
    if missing < _UNKNOWN_SHARE * unique_parameters:
        return replace(shape, other_parameters=norms + missing)
    rest = MatrixShape("rest.weight", "linear", missing // hidden_size, hidden_size)
    return replace(shape, matrices=(*shape.matrices[:-1], rest, shape.matrices[-1]))


def shape_of_entry(entry: Entry) -> DecoderShape | None:
    """Sizes of a catalogue's entry; None where its facts are too few, or miss its count of parameters."""
    facts = entry.architecture
    if None in (facts.layers, facts.hidden_size, facts.vocabulary, facts.heads, facts.head_dim):
        return None
    assert facts.layers is not None and facts.hidden_size is not None and facts.vocabulary is not None
    if facts.intermediate_size is None or facts.kv_heads is None or facts.attention == "MLA":
        return None
    heads, kv_heads, head_dims, inner = (
        _spread(value, facts.layers)
        for value in (facts.heads, facts.kv_heads, facts.head_dim, facts.intermediate_size)
    )
    gated = facts.feed_forward != "dense"
    layers = [
        LayerFacts(heads[index], kv_heads[index], head_dims[index], inner[index], gated)
        for index in range(facts.layers)
    ]
    shape = shape_of_facts(
        layers,
        hidden_size=facts.hidden_size,
        vocabulary=facts.vocabulary,
        tied=bool(facts.tied_embeddings),
        unique_parameters=entry.parameters.unique if entry.parameters else None,
        rotary=facts.positions == "rope",
        longest=facts.context,
    )
    known = entry.parameters.unique if entry.parameters else None
    # What several layers share, for one, is not in these facts; a wrong size is worse than none.
    if known is not None and abs(shape.unique_parameters - known) > _UNKNOWN_SHARE * known:
        return None
    return shape


def shape_of_config(fields: Mapping[str, Any]) -> DecoderShape | None:
    """Sizes that a config.json amounts to; None where it does not say enough."""
    text = fields.get("text_config")
    fields = text if isinstance(text, Mapping) else fields
    try:
        return _of_config(fields)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, IndexError):
        return None


def _of_config(fields: Mapping[str, Any]) -> DecoderShape:
    hidden = int(_first(fields, "hidden_size", "n_embd", "d_model", "model_dim"))
    count = int(_first(fields, *LAYER_COUNTS))
    vocabulary = int(fields["vocab_size"])
    heads = _spread(_first(fields, "num_attention_heads", "n_head", "n_heads", "num_query_heads"), count)
    kv_heads = _spread(
        1
        if fields.get("multi_query")
        else _first(fields, "num_key_value_heads", "num_kv_heads", default=tuple(heads)),
        count,
    )
    head_dim = int(fields.get("head_dim") or hidden // heads[0])
    # Gemma 4's layers without a window have wider heads.
    wide = int(fields.get("global_head_dim") or head_dim)
    inner = _inner(fields, hidden, count)
    types = fields.get("layer_types") or fields.get("layers_block_type") or ["full_attention"] * count
    windows = [
        int(fields["sliding_window"])
        if str(kind).startswith(("sliding", "local")) and fields.get("sliding_window")
        else None
        for kind in types
    ]
    experts = int(_first(fields, "num_local_experts", "num_experts", "n_routed_experts", default=1) or 1)
    used = int(_first(fields, "num_experts_per_tok", "num_experts_per_token", default=1) or 1)
    gated = fields.get("model_type") not in _DENSE
    owners = _cache_owners(types, int(fields.get("num_kv_shared_layers") or 0))
    layers = [
        LayerFacts(
            heads=heads[index] if types[index] in _ATTENDING else 0,
            kv_heads=kv_heads[index] if types[index] in _ATTENDING else 0,
            head_dim=wide if types[index] == "full_attention" else head_dim,
            inner=inner[index],
            gated=gated,
            window=windows[index],
            experts=experts,
            experts_used=min(used, experts),
            shares_cache_of=owners[index],
            latent=_latent(fields, heads[index]) if types[index] in _ATTENDING else None,
            query_rank=fields.get("q_lora_rank"),
        )
        for index in range(count)
    ]
    return shape_of_facts(
        layers,
        hidden_size=hidden,
        vocabulary=vocabulary,
        tied=bool(_first(fields, "tie_word_embeddings", "share_input_output_layers", default=True)),
        longest=fields.get("max_position_embeddings"),
    )


def _cache_owners(types: Sequence[str], sharing: int) -> list[int | None]:
    """For the last layers, the last one of the same type before them (Gemma 3n, Gemma 4)."""
    first = len(types) - sharing
    last = {kind: index for index, kind in enumerate(types[:first])}
    return [None if index < first else last[kind] for index, kind in enumerate(types)]


def _latent(fields: Mapping[str, Any], heads: int) -> LatentAttention | None:
    if fields.get("kv_lora_rank") is None:
        return None
    return LatentAttention(
        heads=heads,
        latent_dim=int(fields["kv_lora_rank"]),
        rotary_dim=int(fields["qk_rope_head_dim"]),
        head_dim=int(fields["qk_nope_head_dim"]),
        value_dim=int(fields["v_head_dim"]),
    )


def _inner(fields: Mapping[str, Any], hidden: int, count: int) -> list[int]:
    if isinstance(factors := fields.get("ffn_multipliers"), list | tuple) and len(factors) == count:
        step = int(fields.get("ffn_dim_divisor") or 1)
        return [divisible_width(float(factor) * hidden, step) for factor in factors]
    names = ("moe_intermediate_size",) if fields.get("num_experts") or fields.get("n_routed_experts") else ()
    given = _first(
        fields, *names, "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", default=4 * hidden
    )
    return _spread(given or 4 * hidden, count)


def divisible_width(width: float, divisor: int) -> int:
    """The nearest multiple, which is never more than a tenth below (OpenELM's rule)."""
    nearest = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * width else nearest


def _first(fields: Mapping[str, Any], *names: str, default: Any = None) -> Any:
    found = next((fields[name] for name in names if fields.get(name) is not None), default)
    if found is None:
        raise KeyError(names[0])
    return found


def _spread(value: PerLayer | Sequence[int] | None, count: int) -> list[int]:
    if isinstance(value, list | tuple):
        if len(value) != count:
            raise ValueError(f"{len(value)} numbers for {count} layers")
        return [int(one) for one in value]
    if not isinstance(value, int):
        raise ValueError(f"{value!r} is not a number for each layer")
    return [value] * count


def _matrices(index: int, one: LayerFacts, hidden: int) -> list[MatrixShape]:
    def linear(name: str, rows: int, columns: int, used: float = 1.0) -> MatrixShape:
        return MatrixShape(f"model.layers.{index}.{name}.weight", "linear", rows, columns, used)

    found = []
    if one.latent is not None:
        queries = one.latent.heads * (one.latent.head_dim + one.latent.rotary_dim)
        if one.query_rank is not None:
            found.append(linear("self_attn.q_a_proj", one.query_rank, hidden))
        found += [
            linear("self_attn.q_proj", queries, one.query_rank or hidden),
            linear("self_attn.kv_a_proj_with_mqa", one.latent.row_dim, hidden),
            linear("self_attn.o_proj", hidden, one.latent.heads * one.latent.value_dim),
        ]
    elif one.heads:
        found += [
            linear("self_attn.q_proj", one.heads * one.head_dim, hidden),
            linear("self_attn.o_proj", hidden, one.heads * one.head_dim),
        ]
        if one.shares_cache_of is None:
            rows = one.kv_heads * one.head_dim
            found += [linear(f"self_attn.{name}", rows, hidden) for name in ("k_proj", "v_proj")]
    used = one.experts_used / one.experts
    names = ("gate_proj", "up_proj") if one.gated else ("up_proj",)
    found += [linear(f"mlp.{name}", one.experts * one.inner, hidden, used) for name in names]
    return [*found, linear("mlp.down_proj", one.experts * hidden, one.inner, used)]


def _parts(matrices: Sequence[MatrixShape]) -> dict[str, Part]:
    """Parts of the matrices that are made up here, by the names that they get here."""
    parts: dict[str, Part] = {one.name: "value" for one in matrices if ".v_proj." in one.name}
    downs = [one.name for one in matrices if ".down_proj." in one.name]
    return parts | dict.fromkeys(downs, "down") | dict.fromkeys(downs[-1:], "last_down")


def _layer(index: int, one: LayerFacts) -> Layer:
    inner: FeedForward | MixtureOfExperts
    if one.experts > 1:
        inner = MixtureOfExperts(
            experts=one.experts, experts_per_token=one.experts_used, intermediate_size=one.inner
        )
    else:
        inner = FeedForward(kind="gated" if one.gated else "dense", intermediate_size=one.inner)
    if one.latent is not None:
        return Layer(mixers=(one.latent,), feed_forward=inner, states=one.latent.states(index))
    if not one.heads:
        return Layer(mixers=(), feed_forward=inner, states=())
    attention = Attention(
        heads=one.heads,
        kv_heads=one.kv_heads,
        head_dim=one.head_dim,
        value_dim=one.head_dim,
        window=one.window,
        shares_cache_of=one.shares_cache_of,
    )
    return Layer(mixers=(attention,), feed_forward=inner, states=attention.states(index))
