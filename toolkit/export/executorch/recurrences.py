"""Short convolutions and recurrences, and the states that they keep.

llama::gated_delta_rule is the one recurrence that ExecuTorch has a kernel for. Without the delta rule a state
takes up ``k v^T`` instead of ``k (b (v - state^T k))^T``: with a tiny power of two for b and v divided by it,
what the kernel subtracts is too small to count and what it multiplies is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.capture.patterns import shape_of
from toolkit.export.executorch.layout import plain
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.program import Value
from toolkit.export.executorch.xnnpack import Node

_TINY = 2.0**-40
_TO_HEADS = (0, 2, 1, 3)
# Elements of the largest operand of a recurrence in one call.
_LARGEST_OPERAND = 2**24


def longest_chunk(graph: DecoderGraph, maximum: int) -> int:
    """Tokens of one call, so few that the operands of recurrences over many channels stay small."""
    for op in graph.ops:
        if op.target == "slm.linear_recurrence":
            heads = int(shape_of(graph, Ref(op.name))[2])
            columns = int(shape_of(graph, op.args[1])[3])
            maximum = min(maximum, max(_LARGEST_OPERAND // (heads * columns), 1))
    return maximum


class Recurrences:
    """Emits the operations of a graph that keep a state of fixed size."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition
        self._begins: Value | None = None
        self._ends: dict[int, Value] = {}

    def short_convolution(self, op: Op) -> Result:
        """One product for each tap, over the tokens before it joined with the call's."""
        partition, method = self._partition, self._partition.method
        hidden, weight, bias, _ = op.args
        taps = partition.numbers(weight.name)
        channels, width = taps.shape
        before = width - 1
        own = plain(partition, partition.result(hidden))
        tensor = partition.tensor(own)
        state = self._state((1, before, channels))
        joined = method.tensor([1, partition.longest + before, channels])
        one = method.literal(1)
        method.call("aten::cat.out", [method.tensors([state, tensor]), one, joined, joined])
        shape = (1, SEQUENCE, channels)
        rows = []
        for tap in range(before):
            row = method.tensor(partition.bound(shape))
            self._cut(joined, method.literal(tap), self._end(tap), row)
            rows.append(partition.from_value(row, shape))
        _, length, _ = partition.positions()
        self._cut(joined, length, self._end(before), state)
        graph = partition.delegate()
        total: Node | None = None
        for tap, result in enumerate([*rows, own]):
            factor = graph.constant(np.ascontiguousarray(taps[:, tap]))
            product = graph.binary("Multiply", partition.node(result), factor)
            total = product if total is None else graph.binary("Add", total, product)
        assert total is not None, "a convolution has a tap"
        if isinstance(bias, Ref):
            total = graph.binary("Add", total, graph.constant(partition.numbers(bias.name)))
        return partition.from_node(total)

    def linear_recurrence(self, op: Op) -> Result:
        """Heads first, each with keys and queries of its own, as the kernel takes them."""
        partition, method = self._partition, self._partition.method
        assert op.shape is not None, "a recurrence yields one tensor"
        heads, width = int(op.shape[2]), int(op.shape[3])
        query, key, value, decay = (self._node(ref) for ref in op.args[:4])
        columns = int(key.shape[3])
        graph = partition.delegate()
        operands = [graph.transpose(self._for_each(node, heads), _TO_HEADS) for node in (query, key)]
        fading = graph.unary("Exp", graph.transpose(decay, _TO_HEADS))
        first = graph.reshape(graph.columns(fading, 0, 1), (1, heads, SEQUENCE))
        if op.args[4] is None:
            value = graph.binary("Multiply", value, graph.scalar(1 / _TINY))
            none = graph.binary("Multiply", first, graph.scalar(0.0))
            beta = graph.binary("Add", none, graph.scalar(_TINY))
        else:
            beta = graph.transpose(self._node(op.args[4]), (0, 2, 1))
        operands += [graph.transpose(value, _TO_HEADS), first if fading.shape[3] == 1 else fading, beta]
        tensors = partition.tensors([partition.from_node(node) for node in operands])
        state = self._state((1, heads, columns, width))
        kept = method.tensor([1, heads, columns, width], dynamic=False)
        shape = (1, heads, SEQUENCE, width)
        output = method.tensor(partition.bound(shape))
        results = [output, kept]
        method.call("llama::gated_delta_rule.out", [*tensors, state, *results, method.tensors(results)])
        self._cut(kept, method.literal(0), method.literal(heads), state)
        node = partition.node(partition.from_value(output, shape))
        return partition.from_node(partition.delegate().transpose(node, _TO_HEADS))

    def _node(self, ref: Ref) -> Node:
        return self._partition.node(plain(self._partition, self._partition.result(ref)))

    def _for_each(self, node: Node, heads: int) -> Node:
        """Queries or keys [1, S, G, K], once for each head of their group."""
        graph = self._partition.delegate()
        batch, text, groups, width = node.shape
        if groups == heads:
            return node
        single = graph.reshape(node, (batch, text, groups, 1, width))
        zeros = graph.constant(np.zeros((1, 1, 1, heads // int(groups), 1), np.float32))
        return graph.reshape(graph.binary("Add", single, zeros), (batch, text, heads, width))

    def _state(self, shape: Sequence[int]) -> Value:
        """A state that is zero where a text begins, also in runtimes that do not empty it."""
        method = self._partition.method
        state = method.fixed_state(shape)
        if self._begins is None:
            start, _, _ = self._partition.positions()
            self._begins = method.flag()
            method.call("executorch_prim::eq.Scalar", [start, method.literal(0), self._begins])
        jump = method.jump_unless(self._begins)
        method.call("aten::fill.Scalar_out", [state, method.literal(0.0), state, state])
        method.land(jump)
        return state

    def _end(self, offset: int) -> Value:
        """The call's number of tokens and ``offset``."""
        _, length, _ = self._partition.positions()
        if offset == 0:
            return length
        if offset not in self._ends:
            method = self._partition.method
            self._ends[offset] = method.integer()
            method.call("executorch_prim::add.Scalar", [length, method.literal(offset), self._ends[offset]])
        return self._ends[offset]

    def _cut(self, source: Value, start: Value, end: Value, target: Value) -> None:
        """Elements ``start:end`` of dimension 1."""
        method = self._partition.method
        arguments = [source, method.literal(1), start, end, method.literal(1), target, target]
        method.call("aten::slice_copy.Tensor_out", arguments)
