"""Experts: one delegate each, which the program jumps over unless a token has chosen it.

ExecuTorch has no operator for a mixture of experts. Its programs can jump, and its own kernels find and
collect the tokens of an expert, so that any runtime runs the result. What is jumped over is not read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.capture.experts import ExpertsCall
from toolkit.capture.graph import SEQUENCE, Op, Ref
from toolkit.compress.experts import ExpertMatrices
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.arithmetic import tanh_gelu
from toolkit.export.executorch.expert_weights import expert_filters
from toolkit.export.executorch.layout import plain
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.xnnpack import Filter, Node, XnnpackGraph

_Bias = NDArray[np.float32] | None


@dataclass(frozen=True)
class _Expert:
    """One expert's matrices and biases."""

    up: Filter
    down: Filter
    up_bias: _Bias
    down_bias: _Bias


def emit_experts(partition: Partition, op: Op) -> Result:
    """Emit one slm::experts."""
    call = ExpertsCall(*op.args)
    method = partition.method
    hidden, chosen, weights = (
        partition.tensor(plain(partition, partition.result(ref)))
        for ref in (call.hidden, call.chosen, call.weights)
    )
    assert op.shape is not None, "experts yield one tensor"
    width, longest = int(op.shape[-1]), partition.longest
    total = method.tensor([longest, width])
    method.call("aten::full_like.out", [hidden, method.literal(0.0), method.literal(None), total, total])
    found = method.tensor(list(method.shape(chosen)), "bool")
    flag = method.tensor([], "bool", dynamic=False)
    places = method.tensor([longest, 2], "int64")
    rows, choices = method.tensor([longest], "int64"), method.tensor([longest], "int64")
    factors = method.tensor([longest])
    inputs, before, outputs = (method.tensor([longest, width]) for _ in range(3))
    both, row_list = method.optional_tensors([rows, choices]), method.optional_tensors([rows])
    zero, one = method.literal(0), method.literal(1)
    for index, expert in enumerate(_experts(partition, call)):
        method.call("aten::eq.Scalar_out", [chosen, method.literal(index), found, found])
        method.call("aten::any.all_out", [found, flag, flag])
        jump = method.jump_unless(flag)
        method.call("aten::nonzero.out", [found, places, places])
        method.call("aten::select_copy.int_out", [places, one, zero, rows, rows])
        method.call("aten::select_copy.int_out", [places, one, one, choices, choices])
        method.call("aten::index.Tensor_out", [weights, both, factors, factors])
        method.call("aten::index_select.out", [hidden, zero, rows, inputs, inputs])
        method.call("aten::index_select.out", [total, zero, rows, before, before])
        graph = XnnpackGraph(method.segments, longest, partition.context_length)
        graph.module = op.module
        node = _expert(graph, call, expert, width)
        method.delegate(graph, [node], [inputs, factors, before, outputs])
        method.call("aten::index_put_", [total, row_list, outputs, method.literal(False), total])
        method.land(jump)
    return partition.from_value(total, op.shape)


def _experts(partition: Partition, call: ExpertsCall) -> list[_Expert]:
    halves = call.has_gate and call.interleaved
    up = ExpertMatrices(call.up.name, call.transposed, "halves" if halves else "kept")
    down = ExpertMatrices(call.down.name, call.transposed)
    store = partition.weights

    def biases(ref: Ref | None, matrices: ExpertMatrices) -> list[_Bias]:
        if ref is None:
            return [None] * count
        return list(matrices.in_order(store.weights.read(ref.name)).contiguous().numpy())

    ups, downs = expert_filters(store, up), expert_filters(store, down)
    count = len(ups)
    columns = ups, downs, biases(call.up_bias, up), biases(call.down_bias, down)
    return [_Expert(*parts) for parts in zip(*columns, strict=True)]


def _expert(graph: XnnpackGraph, call: ExpertsCall, expert: _Expert, width: int) -> Node:
    """``before + weight * down(act(up(x)))`` of an expert's tokens, [n, H]."""
    hidden, weight, before = (
        graph.input(shape) for shape in ((SEQUENCE, width), (SEQUENCE,), (SEQUENCE, width))
    )

    def linear(node: Node, matrix: Filter, bias: _Bias) -> Node:
        return graph.linear(node, matrix, None if bias is None else np.ascontiguousarray(bias))

    states = linear(hidden, expert.up, expert.up_bias)
    if call.has_gate:
        half = expert.up.rows // 2
        gate, up = graph.columns(states, 0, half), graph.columns(states, half, 2 * half)
        if call.limit:
            gate = graph.binary("Minimum", gate, graph.scalar(call.limit))
            up = graph.binary("Minimum", up, graph.scalar(call.limit))
            up = graph.binary("Maximum", up, graph.scalar(-call.limit))
        if call.offset:
            up = graph.binary("Add", up, graph.scalar(call.offset))
        states = graph.binary("Multiply", _activated(graph, call, gate), up)
    else:
        states = _activated(graph, call, states)
    output = linear(states, expert.down, expert.down_bias)
    weighted = graph.binary("Multiply", output, graph.reshape(weight, (SEQUENCE, 1)))
    return graph.binary("Add", before, weighted)


def _activated(graph: XnnpackGraph, call: ExpertsCall, node: Node) -> Node:
    match call.activation:
        case "silu":
            scaled = node if call.alpha == 1 else graph.binary("Multiply", node, graph.scalar(call.alpha))
            return graph.binary("Multiply", node, graph.unary("Sigmoid", scaled))
        case "gelu":
            return graph.unary("Gelu", node)
        case "gelu_tanh":
            return tanh_gelu(graph, node)
        case "relu":
            return graph.binary("Maximum", node, graph.scalar(0.0))
        case "relu_squared":
            return graph.unary("Square", graph.binary("Maximum", node, graph.scalar(0.0)))
        case "sigmoid":
            return graph.unary("Sigmoid", node)
        case "identity":
            return node
    raise UnsupportedModel(f"experts with {call.activation} have no ExecuTorch lowering")
