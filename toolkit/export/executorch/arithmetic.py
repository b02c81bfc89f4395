"""Lowerings of plain tensor operators to XNNPACK nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.xnnpack import Node
from toolkit.export.graph import Op, Ref

if TYPE_CHECKING:
    from toolkit.export.executorch.lowering import Lowering, Result

Emitter = Callable[["Lowering", Op], "Result"]


def _binary(kind: str) -> Emitter:
    def emit(lowering: Lowering, op: Op) -> Result:
        if op.kwargs.get("alpha", 1) != 1:
            raise UnsupportedModel(f"{op.target} ({op.name}) with alpha={op.kwargs['alpha']}")
        operands = [lowering.result(arg) for arg in op.args[:2] if isinstance(arg, Ref)]
        swapped = {operand.heads_second for operand in operands if len(operand.shape) == 4}
        if len(swapped) > 1:
            raise UnsupportedModel(f"{op.target} ({op.name}) mixes layouts of attention heads")
        nodes = [_operand(lowering, arg) for arg in op.args[:2]]
        node = lowering.delegate().binary(kind, *nodes)
        return lowering.from_node(node, heads_second=swapped == {True})

    return emit


def _operand(lowering: Lowering, arg: Any) -> Node:
    if isinstance(arg, Ref):
        return lowering.node(lowering.result(arg))
    return lowering.delegate().scalar(float(arg))


def _elementwise(formula: Callable[[Lowering, Node, Op], Node]) -> Emitter:
    """An operator that changes neither shape nor layout."""

    def emit(lowering: Lowering, op: Op) -> Result:
        source = lowering.result(op.args[0])
        node = formula(lowering, lowering.node(source), op)
        return lowering.from_node(node, heads_second=source.heads_second)

    return emit


def _unary(kind: str) -> Emitter:
    return _elementwise(lambda lowering, node, op: lowering.delegate().unary(kind, node))


def _silu(lowering: Lowering, node: Node, op: Op) -> Node:
    graph = lowering.delegate()
    return graph.binary("Multiply", node, graph.unary("Sigmoid", node))


def _relu(lowering: Lowering, node: Node, op: Op) -> Node:
    graph = lowering.delegate()
    return graph.binary("Maximum", node, graph.scalar(0.0))


def _gelu(lowering: Lowering, node: Node, op: Op) -> Node:
    graph = lowering.delegate()
    if op.kwargs.get("approximate", "none") == "none":
        return graph.unary("Gelu", node)
    # (1 + tanh(z)) / 2 is sigmoid(2 z), with z = sqrt(2 / pi) (x + 0.044715 x^3).
    linear = 2 * math.sqrt(2 / math.pi)
    cubic = graph.binary("Multiply", graph.unary("Square", node), graph.scalar(0.044715 * linear))
    slope = graph.binary("Add", cubic, graph.scalar(linear))
    gate = graph.unary("Sigmoid", graph.binary("Multiply", node, slope))
    return graph.binary("Multiply", node, gate)


def _rms_norm(lowering: Lowering, node: Node, op: Op) -> Node:
    graph = lowering.delegate()
    gain = lowering.weights.vector(op.args[1].name, offset=1.0 if op.args[3] else 0.0)
    mean = np.full(gain.shape, 1.0 / gain.size, np.float32)
    squares = graph.weighted_sum(graph.unary("Square", node), mean, float(op.args[2]))
    scaled = graph.binary("Multiply", node, graph.unary("ReciprocalSquareRoot", squares))
    return graph.binary("Multiply", scaled, graph.constant(gain))


def _layer_norm(lowering: Lowering, node: Node, op: Op) -> Node:
    graph = lowering.delegate()
    size = int(op.args[1][-1])
    mean = np.full((size,), 1.0 / size, np.float32)
    eps = float(op.args[4]) if len(op.args) > 4 else 1e-5
    centred = graph.binary("Subtract", node, graph.weighted_sum(node, mean, 0.0))
    variance = graph.weighted_sum(graph.unary("Square", centred), mean, eps)
    normalized = graph.binary("Multiply", centred, graph.unary("ReciprocalSquareRoot", variance))
    for kind, ref in zip(("Multiply", "Add"), op.args[2:4], strict=False):
        if isinstance(ref, Ref):
            normalized = graph.binary(kind, normalized, graph.constant(lowering.weights.vector(ref.name)))
    return normalized


def _slice(lowering: Lowering, op: Op) -> Result:
    source = lowering.result(op.args[0])
    rank, width = len(source.shape), int(source.shape[-1])
    if int(op.args[1]) % rank != rank - 1:
        raise UnsupportedModel(f"{op.target} ({op.name}) does not cut the last dimension")
    start = int(op.args[2] or 0) if len(op.args) > 2 else 0
    stop = min(int(op.args[3]), width) if len(op.args) > 3 and op.args[3] is not None else width
    return lowering.delegate_columns(source, start % width, stop if stop >= 0 else stop + width)


def _cat(lowering: Lowering, op: Op) -> Result:
    sources = [lowering.result(ref) for ref in op.args[0]]
    rank = len(sources[0].shape)
    dim = int(op.args[1]) if len(op.args) > 1 else 0
    if dim % rank != rank - 1 or len({source.heads_second for source in sources}) > 1:
        raise UnsupportedModel(f"{op.target} ({op.name}) does not join the last dimension")
    first, *rest = (lowering.node(source) for source in sources)
    for node in rest:
        first = lowering.delegate().concatenate(first, node)
    return lowering.from_node(first, heads_second=sources[0].heads_second)


EMITTERS: dict[str, Emitter] = {
    "aten.add": _binary("Add"),
    "aten.sub": _binary("Subtract"),
    "aten.mul": _binary("Multiply"),
    "aten.div": _binary("Div"),
    "aten.tanh": _unary("Tanh"),
    "aten.sigmoid": _unary("Sigmoid"),
    "aten.relu": _elementwise(_relu),
    "aten.silu": _elementwise(_silu),
    "aten.gelu": _elementwise(_gelu),
    "slm.rms_norm": _elementwise(_rms_norm),
    "aten.layer_norm": _elementwise(_layer_norm),
    "aten.slice": _slice,
    "aten.cat": _cat,
}
