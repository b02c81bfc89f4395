"""Lowerings of plain tensor operators to XNNPACK nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit.capture.graph import Op, Ref
from toolkit.capture.patterns import layer_norm_epsilon
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.xnnpack import Node

Emitter = Callable[[Partition, Op], Result]


def _binary(kind: str) -> Emitter:
    def emit(partition: Partition, op: Op) -> Result:
        if op.kwargs.get("alpha", 1) != 1:
            raise UnsupportedModel(f"{op} with alpha={op.kwargs['alpha']}")
        operands = [partition.result(arg) for arg in op.args[:2] if isinstance(arg, Ref)]
        swapped = {operand.heads_second for operand in operands if len(operand.shape) == 4}
        if len(swapped) > 1:
            raise UnsupportedModel(f"{op} mixes layouts of attention heads")
        nodes = [_operand(partition, arg) for arg in op.args[:2]]
        node = partition.delegate().binary(kind, *nodes)
        return partition.from_node(node, heads_second=swapped == {True})

    return emit


def _operand(partition: Partition, arg: Any) -> Node:
    if isinstance(arg, Ref):
        return partition.node(partition.result(arg))
    return partition.delegate().scalar(float(arg))


def _elementwise(formula: Callable[[Partition, Node, Op], Node]) -> Emitter:
    """An operator that changes neither shape nor layout."""

    def emit(partition: Partition, op: Op) -> Result:
        source = partition.result(op.args[0])
        node = formula(partition, partition.node(source), op)
        return partition.from_node(node, heads_second=source.heads_second)

    return emit


def _unary(kind: str) -> Emitter:
    return _elementwise(lambda partition, node, op: partition.delegate().unary(kind, node))


def _silu(partition: Partition, node: Node, op: Op) -> Node:
    graph = partition.delegate()
    return graph.binary("Multiply", node, graph.unary("Sigmoid", node))


def _relu(partition: Partition, node: Node, op: Op) -> Node:
    graph = partition.delegate()
    return graph.binary("Maximum", node, graph.scalar(0.0))


def _gelu(partition: Partition, node: Node, op: Op) -> Node:
    graph = partition.delegate()
    if op.kwargs.get("approximate", "none") == "none":
        return graph.unary("Gelu", node)
    # (1 + tanh(z)) / 2 is sigmoid(2 z), with z = sqrt(2 / pi) (x + 0.044715 x^3).
    linear = 2 * math.sqrt(2 / math.pi)
    cubic = graph.binary("Multiply", graph.unary("Square", node), graph.scalar(0.044715 * linear))
    slope = graph.binary("Add", cubic, graph.scalar(linear))
    gate = graph.unary("Sigmoid", graph.binary("Multiply", node, slope))
    return graph.binary("Multiply", node, gate)


def _rms_norm(partition: Partition, node: Node, op: Op) -> Node:
    graph = partition.delegate()
    gain = partition.weights.vector(op.args[1].name, offset=1.0 if op.args[3] else 0.0)
    mean = np.full(gain.shape, 1.0 / gain.size, np.float32)
    squares = graph.weighted_sum(graph.unary("Square", node), mean, float(op.args[2]))
    scaled = graph.binary("Multiply", node, graph.unary("ReciprocalSquareRoot", squares))
    return graph.binary("Multiply", scaled, graph.constant(gain))


def _layer_norm(partition: Partition, node: Node, op: Op) -> Node:
    graph = partition.delegate()
    size = int(op.args[1][-1])
    mean = np.full((size,), 1.0 / size, np.float32)
    centred = graph.binary("Subtract", node, graph.weighted_sum(node, mean, 0.0))
    variance = graph.weighted_sum(graph.unary("Square", centred), mean, layer_norm_epsilon(op))
    normalized = graph.binary("Multiply", centred, graph.unary("ReciprocalSquareRoot", variance))
    for kind, ref in zip(("Multiply", "Add"), op.args[2:4], strict=False):
        if isinstance(ref, Ref):
            normalized = graph.binary(kind, normalized, graph.constant(partition.weights.vector(ref.name)))
    return normalized


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
}
