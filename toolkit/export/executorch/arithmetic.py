"""Lowerings of plain tensor operators to XNNPACK nodes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from toolkit.capture.graph import Op, Ref
from toolkit.capture.patterns import layer_norm_epsilon, limits
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.layout import beside_heads, plain
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.routing import finite
from toolkit.export.executorch.xnnpack import Node, XnnpackGraph

Emitter = Callable[[Partition, Op], Result]


def _binary(kind: str) -> Emitter:
    def emit(partition: Partition, op: Op) -> Result:
        for option in ("alpha", "rounding_mode"):
            if op.kwargs.get(option, 1) not in (1, None):
                raise UnsupportedModel(f"{op} with {option}={op.kwargs[option]}")
        operands = [partition.result(arg) if isinstance(arg, Ref) else arg for arg in op.args[:2]]
        swapped = any(isinstance(operand, Result) and operand.heads_second for operand in operands)
        nodes = []
        for operand in operands:
            if not isinstance(operand, Result):
                nodes.append(partition.delegate().scalar(float(operand)))
                continue
            if swapped:
                operand = beside_heads(partition, operand, len(op.shape or ()))
            nodes.append(partition.node(operand))
        node = partition.delegate().binary(kind, *nodes)
        return partition.from_node(node, heads_second=swapped)

    return emit


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
    return tanh_gelu(graph, node)


def tanh_gelu(graph: XnnpackGraph, node: Node) -> Node:
    """GELU by way of tanh."""
    # (1 + tanh(z)) / 2 is sigmoid(2 z), with z = sqrt(2 / pi) (x + 0.044715 x^3).
    linear = 2 * math.sqrt(2 / math.pi)
    cubic = graph.binary("Multiply", graph.unary("Square", node), graph.scalar(0.044715 * linear))
    slope = graph.binary("Add", cubic, graph.scalar(linear))
    gate = graph.unary("Sigmoid", graph.binary("Multiply", node, slope))
    return graph.binary("Multiply", node, gate)


def _rms_norm(partition: Partition, node: Node, op: Op) -> Node:
    graph, size = partition.delegate(), int(node.shape[-1])
    mean = np.full((size,), 1.0 / size, np.float32)
    squares = graph.weighted_sum(graph.unary("Square", node), mean, float(op.args[2]))
    scaled = graph.binary("Multiply", node, graph.unary("ReciprocalSquareRoot", squares))
    if op.args[1] is None:
        return scaled
    gain = partition.weights.vector(op.args[1].name, offset=1.0 if op.args[3] else 0.0)
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
            normalized = graph.binary(kind, normalized, partition.node(partition.result(ref)))
    return normalized


def _softplus(partition: Partition, node: Node, op: Op) -> Node:
    """max(x, 0) + log(1 + exp(-abs(x))), which nowhere overflows."""
    if len(op.args) > 1 and op.args[1] != 1:
        raise UnsupportedModel(f"{op} with beta={op.args[1]}")
    graph = partition.delegate()
    small = graph.unary("Exp", graph.binary("Multiply", graph.unary("Abs", node), graph.scalar(-1.0)))
    rest = graph.unary("Log", graph.binary("Add", small, graph.scalar(1.0)))
    return graph.binary("Add", graph.binary("Maximum", node, graph.scalar(0.0)), rest)


def _mish(partition: Partition, node: Node, op: Op) -> Node:
    graph = partition.delegate()
    return graph.binary("Multiply", node, graph.unary("Tanh", _softplus(partition, node, op)))


def _clamp(partition: Partition, node: Node, op: Op) -> Node:
    graph = partition.delegate()
    for kind, bound in zip(("Maximum", "Minimum"), limits(op), strict=True):
        if isinstance(bound, Ref):
            node = graph.binary(kind, node, partition.node(partition.result(bound)))
        elif bound is not None:
            node = graph.binary(kind, node, graph.scalar(float(bound)))
    return node


def _reciprocal(partition: Partition, node: Node, op: Op) -> Node:
    graph = partition.delegate()
    return graph.binary("Div", graph.scalar(1.0), node)


def _expm1(partition: Partition, node: Node, op: Op) -> Node:
    """exp(x) - 1 = 2 tanh(x / 2) / (1 - tanh(x / 2)), which keeps its digits around zero."""
    graph = partition.delegate()
    half = graph.unary("Tanh", graph.binary("Multiply", node, graph.scalar(0.5)))
    below = graph.binary("Subtract", graph.scalar(1.0), half)
    return graph.binary("Div", graph.binary("Multiply", half, graph.scalar(2.0)), below)


def _above(partition: Partition, op: Op) -> Result:
    """1 where the left operand is larger than the right one, else 0; the difference is never tiny."""
    greater = op.target == "aten.gt"
    left, right = op.args[:2] if greater else op.args[1::-1]
    difference = _binary("Subtract")(partition, replace(op, args=(left, right), kwargs={}))
    graph = partition.delegate()
    # Any normal number times this is at least 1.
    scaled = graph.binary("Multiply", partition.node(difference), graph.scalar(3e38))
    bounded = graph.binary("Minimum", graph.binary("Maximum", scaled, graph.scalar(0.0)), graph.scalar(1.0))
    return partition.from_node(bounded, heads_second=difference.heads_second)


def _where(partition: Partition, op: Op) -> Result:
    """Selection: flag * left + (1 - flag) * right, with flags of 0 and 1."""
    flag = op.args[0]
    left, right = (finite(arg) if isinstance(arg, float) else arg for arg in op.args[1:3])
    flags = partition.result(flag)
    inverse = partition.delegate().binary("Subtract", partition.delegate().scalar(1.0), partition.node(flags))
    terms = []
    for name, factor, operand in (
        ("chosen", flags, left),
        ("other", partition.from_node(inverse, heads_second=flags.heads_second), right),
    ):
        key = f"{op.name}.{name}"
        partition.set_result(key, factor)
        product = _binary("Multiply")(partition, replace(op, args=(Ref(key), operand), kwargs={}))
        partition.set_result(f"{key}.product", product)
        terms.append(Ref(f"{key}.product"))
    return _binary("Add")(partition, replace(op, args=tuple(terms), kwargs={}))


def _reduce(partition: Partition, op: Op) -> Result:
    """Sum or mean over dimensions that do not follow the text, brought behind the others as one."""
    source = partition.result(op.args[0])
    rank = len(source.shape)
    dims = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim")
    keep = op.args[2] if len(op.args) > 2 else op.kwargs.get("keepdim", False)
    dims = dims if isinstance(dims, tuple) else (dims,)
    reduced = list(range(rank)) if dims in ((None,), ()) else sorted({int(dim) % rank for dim in dims})
    kept = [dim for dim in range(rank) if dim not in reduced]
    in_rows = reduced == [rank - 1]
    if not (in_rows and keep):
        source = plain(partition, source)
    if any(isinstance(source.shape[dim], str) for dim in reduced):
        raise UnsupportedModel(f"{op} reduces the length of the text")
    graph, node = partition.delegate(), partition.node(source)
    size = math.prod(int(source.shape[dim]) for dim in reduced)
    if not in_rows:
        node = graph.transpose(node, [*kept, *reduced])
        node = graph.reshape(node, (*(source.shape[dim] for dim in kept), size))
    each = 1.0 / size if op.target == "aten.mean" else 1.0
    node = graph.weighted_sum(node, np.full((size,), each, np.float32), 0.0)
    if in_rows and keep:
        return partition.from_node(node, heads_second=source.heads_second)
    assert op.shape is not None, "a sum is one tensor"
    return partition.from_node(graph.reshape(node, op.shape))


def _softmax(partition: Partition, op: Op) -> Result:
    source = partition.result(op.args[0])
    if int(op.args[1]) % len(source.shape) != len(source.shape) - 1:
        raise UnsupportedModel(f"{op} is not over the last dimension")
    node = partition.delegate().unary("Softmax", partition.node(source))
    return partition.from_node(node, heads_second=source.heads_second)


def _matmul(partition: Partition, op: Op) -> Result:
    if any(ref.name in partition.graph.parameters for ref in op.args[:2]):
        partition.begin_products(quantized=False)
    left, right = (partition.node(plain(partition, partition.result(ref))) for ref in op.args[:2])
    return partition.from_node(partition.delegate().matmul(left, right))


EMITTERS: dict[str, Emitter] = {
    "aten.add": _binary("Add"),
    "aten.sub": _binary("Subtract"),
    "aten.mul": _binary("Multiply"),
    "aten.div": _binary("Div"),
    "aten.maximum": _binary("Maximum"),
    "aten.minimum": _binary("Minimum"),
    "aten.tanh": _unary("Tanh"),
    "aten.exp": _unary("Exp"),
    "aten.log": _unary("Log"),
    "aten.sqrt": _unary("SquareRoot"),
    "aten.rsqrt": _unary("ReciprocalSquareRoot"),
    "aten.abs": _unary("Abs"),
    "aten.floor": _unary("Floor"),
    "aten.sin": _unary("Sin"),
    "aten.cos": _unary("Cos"),
    "aten.hardswish": _unary("Hardswish"),
    "aten.reciprocal": _elementwise(_reciprocal),
    "aten.softplus": _elementwise(_softplus),
    "aten.mish": _elementwise(_mish),
    **dict.fromkeys(
        ("aten.clamp", "aten.clamp_min", "aten.clamp_max", "aten.relu6", "aten.hardtanh"),
        _elementwise(_clamp),
    ),
    "aten.expm1": _elementwise(_expm1),
    "aten.gt": _above,
    "aten.lt": _above,
    "aten.where": _where,
    "aten.mean": _reduce,
    "aten.sum": _reduce,
    "aten.softmax": _softmax,
    "aten._softmax": _softmax,
    "aten.matmul": _matmul,
    "aten.bmm": _matmul,
    "aten.sigmoid": _unary("Sigmoid"),
    "aten.relu": _elementwise(_relu),
    "aten.silu": _elementwise(_silu),
    "aten.gelu": _elementwise(_gelu),
    "slm.rms_norm": _elementwise(_rms_norm),
    "aten.layer_norm": _elementwise(_layer_norm),
}
