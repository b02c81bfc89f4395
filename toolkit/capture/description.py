"""What each layer of a captured decoder is, read from its graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from toolkit.capture.experts import ExpertsCall
from toolkit.capture.graph import DecoderGraph, Op, Ref
from toolkit.capture.latent import LATENT
from toolkit.capture.patterns import ancestors, layer_of, resolve, rope_table, shape_of
from toolkit.capture.recurrences import state_place
from toolkit.capture.shared_caches import cache_of
from toolkit.models.layers import (
    Attention,
    FeedForward,
    LatentAttention,
    Layer,
    Mixer,
    MixtureOfExperts,
    Recurrence,
    ShortConvolution,
)

_ACTIVATIONS = {
    "aten.silu": "silu",
    "aten.gelu": "gelu",
    "aten.relu": "relu",
    "aten.tanh": "tanh",
    "aten.sigmoid": "sigmoid",
}
# What may stand between a feed-forward's projections.
_COLUMNS = ("getitem", "aten.slice")
_ELEMENTWISE = (
    *_ACTIVATIONS,
    *_COLUMNS,
    "aten.mul",
    "aten.add",
    "aten.pow",
    "aten.square",
    "aten.clamp",
    "aten.view",
    "aten.reshape",
    "aten.split",
    "aten.chunk",
)


def describe(graph: DecoderGraph) -> tuple[Layer, ...]:
    """Every layer, in order.

    A layer is what the modules below one number of the model's list of layers do, ``model.layers.3`` say.
    """
    mixers: dict[int, list[tuple[int, Mixer]]] = {}
    lists: dict[str, None] = {}
    attending = _attending(graph)
    for op in graph.ops:
        if op.target in _MIXERS:
            number, mixer = _MIXERS[op.target](graph, op)
            layer = attending.get(op.name, number)
            mixers.setdefault(layer, []).append((number, mixer))
            if (place := layer_of(op)) is not None:
                lists[place[0]] = None
    operations: dict[int, list[Op]] = {layer: [] for layer in mixers}
    for op in graph.ops:
        place = layer_of(op)
        if place is not None and place[0] in lists:
            operations.setdefault(place[1], []).append(op)
    return tuple(
        _layer(graph, index, mixers.get(index, []), operations[index]) for index in sorted(operations)
    )


def _attending(graph: DecoderGraph) -> dict[str, int]:
    """The layers of attentions, by name, where each is in one of its own.

    Attentions that layers share are numbered by themselves (Zamba), and so are states' names. One that runs
    several times in a layer counts as a layer each time.
    """
    attentions = [op for op in graph.ops if op.target == "slm.attention"]
    places = {op.name: place for op in attentions if (place := layer_of(op)) is not None}
    layers = {name: layer for name, (_, layer) in places.items()}
    return layers if len(set(layers.values())) == len(attentions) else {}


def _layer(graph: DecoderGraph, index: int, mixers: list[tuple[int, Mixer]], ops: list[Op]) -> Layer:
    states = tuple(state for number, mixer in mixers for state in mixer.states(number))
    stateful = [op.module for op in ops if op.target in _MIXERS and op.target != "slm.attention"]
    outside = [op for op in ops if not any(op.module.startswith(module) for module in stateful)]
    # A mixer with projections of its own is no feed-forward.
    feed_forward = _feed_forward(graph, outside if stateful else ops)
    return Layer(mixers=tuple(mixer for _, mixer in mixers), feed_forward=feed_forward, states=states)


def _attention(graph: DecoderGraph, op: Op) -> tuple[int, Mixer]:
    layer, _, window = op.args[3:6]
    shapes = [graph.by_name[ref.name].shape for ref in op.args[:3]]
    query, key, value = shapes
    assert query is not None and key is not None and value is not None, "attention operands are tensors"
    if LATENT in op.kwargs:
        latent_dim, head_dim, value_dim = op.kwargs[LATENT]
        return int(layer), LatentAttention(
            heads=int(query[1]),
            latent_dim=latent_dim,
            rotary_dim=int(key[3]) - latent_dim,
            head_dim=head_dim,
            value_dim=value_dim,
        )
    mixer = Attention(
        heads=int(query[1]),
        kv_heads=int(key[1]),
        head_dim=int(query[3]),
        value_dim=int(value[3]),
        window=int(window) or None,
        rotary_dim=_rotary_dim(graph, op.args[0]),
        shares_cache_of=cache_of(op),
    )
    return int(layer), mixer


def _short_convolution(graph: DecoderGraph, op: Op) -> tuple[int, Mixer]:
    assert op.shape is not None, "a convolution yields one tensor"
    width = int(shape_of(graph, op.args[1])[1])
    layer, number = state_place(op.args[3])
    return layer, ShortConvolution(channels=int(op.shape[-1]), width=width, number=number)


def _linear_recurrence(graph: DecoderGraph, op: Op) -> tuple[int, Mixer]:
    assert op.shape is not None, "a recurrence yields one tensor"
    heads, width = (int(size) for size in op.shape[2:])
    layer, number = state_place(op.args[6])
    shape = (int(shape_of(graph, op.args[1])[-1]), width)
    return layer, Recurrence(variant=op.args[5], heads=heads, state_shape=shape, number=number)


_MIXERS: dict[str, Callable[[DecoderGraph, Op], tuple[int, Mixer]]] = {
    "slm.attention": _attention,
    "slm.short_convolution": _short_convolution,
    "slm.linear_recurrence": _linear_recurrence,
}


def _rotary_dim(graph: DecoderGraph, states: Ref) -> int:
    """Dimensions that turn on the way from a projection to the attention."""
    for op in ancestors(graph, states, until=("aten.linear",)):
        table = rope_table(graph, op.args[1]) if op.target == "slm.rotary" else None
        if table is not None:
            return int(table.args[2])
    return 0


@dataclass
class _Product:
    """What stands between a feed-forward's last projection and its first ones.

    Attributes:
        sources: projections, or columns of one.
        widths: of the first projections' results.
        activations: names.
        gated: two sources are multiplied with each other.
        other: something else is in between, so that this is no feed-forward.
    """

    sources: set[str] = field(default_factory=set)
    activations: set[str] = field(default_factory=set)
    gated: bool = False
    other: bool = False


def _feed_forward(graph: DecoderGraph, ops: list[Op]) -> FeedForward | MixtureOfExperts | None:
    """A mixture of experts if a layer has one, else its widest feed-forward; some have adapters beside it."""
    dense = _widest_feed_forward(graph, ops)
    for op in ops:
        if op.target == "slm.experts":
            return _experts(graph, op, dense)
    return dense


def _experts(graph: DecoderGraph, op: Op, shared: FeedForward | None) -> MixtureOfExperts:
    call = ExpertsCall(*op.args)
    chosen, down = graph.by_name[call.chosen.name], graph.parameters[call.down.name]
    assert chosen.shape is not None, "chosen experts are one tensor"
    size = down[1] if call.transposed else down[2]
    width = (shared.intermediate_size if shared is not None else None) or 0
    return MixtureOfExperts(
        experts=down[0],
        experts_per_token=int(chosen.shape[-1]),
        # Those that every token uses are often one feed-forward of several times an expert's width.
        shared_experts=max(width // size, 1) if width else 0,
        intermediate_size=size,
        activation=call.activation,
    )


def _widest_feed_forward(graph: DecoderGraph, ops: list[Op]) -> FeedForward | None:
    linears = [op for op in ops if op.target == "aten.linear"]
    found = [one for op in linears if (one := _between(graph, op)) is not None]
    if found:
        return max(found, key=lambda one: one.intermediate_size or 0)
    return FeedForward(kind="unknown") if linears else None


def _between(graph: DecoderGraph, down: Op) -> FeedForward | None:
    product = _Product()
    _visit(graph, down.args[0], product)
    if product.other or not product.sources or not (product.activations or product.gated):
        return None
    shape = graph.parameters[down.args[1].name]
    [activation] = product.activations if len(product.activations) == 1 else [None]
    return FeedForward(
        kind="gated" if product.gated else "dense",
        intermediate_size=shape[0] if down.kwargs.get("transposed") else shape[1],
        activation=activation,
    )


def _visit(graph: DecoderGraph, ref: Ref, product: _Product) -> set[str]:
    """Follow an operand back to its projections; returns those of this operand."""
    op = resolve(graph, ref)
    if op is None:
        return set()
    if op.target == "aten.linear":
        product.sources.add(op.name)
        return {op.name}
    if op.target not in _ELEMENTWISE:
        product.other = True
        return set()
    if op.target in _ACTIVATIONS:
        exact = op.kwargs.get("approximate", "none") == "none"
        product.activations.add(_ACTIVATIONS[op.target] + ("" if exact else f"_{op.kwargs['approximate']}"))
    operands = [_visit(graph, operand, product) for operand in op.args if isinstance(operand, Ref)]
    if op.target == "aten.mul" and len(operands) == 2 and all(operands) and not operands[0] & operands[1]:
        product.gated = True
    sources = set().union(*operands) if operands else set()
    if op.target in _COLUMNS and sources:
        # Columns of one projection count as projections of their own: gate and up in one matrix.
        return {op.name}
    return sources
