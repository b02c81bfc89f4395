"""From a captured graph to a program: XNNPACK delegates between the kernels that XNNPACK lacks.

Operations are visited in order. Those that XNNPACK can run go into the delegate that is open; a kernel that
needs one of its results closes it. Heads stay where the projections leave them, [1, S, heads, head_dim],
which is also what the attention kernel takes: transposes to [1, heads, S, head_dim] cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.compress.plan import Role
from toolkit.compress.tensor import QuantizedTensor
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch import arithmetic
from toolkit.export.executorch.attention import Attention, CacheGeometry, RopeTables
from toolkit.export.executorch.packing import table_scales, table_values, table_zero_points
from toolkit.export.executorch.program import Method, Value
from toolkit.export.executorch.weights import WeightStore
from toolkit.export.executorch.xnnpack import BACKEND, Node, Shape, XnnpackGraph
from toolkit.export.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.export.onnx.weights import Matrix

_ROW_WISE = ("slm.rms_norm", "aten.layer_norm")
_TO_THE_END = 2**63 - 1


@dataclass(frozen=True, eq=False)
class Result:
    """What an operation became.

    Attributes:
        shape: as it lies in memory, with SEQUENCE for the sequence length.
        heads_second: the graph sees dimensions 1 and 2 swapped.
    """

    shape: Shape
    heads_second: bool = False
    source: Result | None = None

    @property
    def stored(self) -> Result:
        """The result whose memory this one shares."""
        return self if self.source is None else self.source.stored


class Lowering:
    """Lowers one captured graph into a method.

    Args:
        graph: the captured decoder.
        method: receives the instructions.
        weights: writes the parameters.
        rope_tables: yields the tables of a rotary embedding.
        tied: parameter that is an alias -> the parameter that is stored.
        all_logits: logits of every position instead of the last one only.
        longest: largest number of tokens in one call.
        context_length: tokens that the KV cache holds.
    """

    def __init__(
        self,
        graph: DecoderGraph,
        method: Method,
        weights: WeightStore,
        rope_tables: RopeTables,
        *,
        tied: dict[str, str],
        all_logits: bool,
        longest: int,
        context_length: int,
    ) -> None:
        self.graph = graph
        self.method = method
        self.weights = weights
        self.longest = longest
        self.context_length = context_length
        self._tied = tied
        self._users = graph.users()
        self._results: dict[str, Result] = {}
        self._tensors: dict[Result, Value] = {}
        self._open: XnnpackGraph | None = None
        self._nodes: dict[Result, Node] = {}
        self._produced: set[Result] = set()
        self._arguments: list[Value] = []
        self._done: set[str] = set()
        self._parts: dict[str, list[tuple[int, int]]] = {}
        self._last_position = None if all_logits else self._earliest_row_wise()
        self.input_ids = method.input([1, longest], "int64", dynamic=True)
        self.attention = Attention(self, rope_tables, method.input([1], "int64", dynamic=False))

    def run(self) -> None:
        """Emit all instructions and declare the logits as the method's output."""
        for op in self.graph.ops:
            self._emit(op)
            self._done.add(op.name)
        logits = self._results[self.graph.output]
        self.method.output(self.tensor(logits))

    @property
    def caches(self) -> dict[int, CacheGeometry]:
        """KV cache geometry by layer, complete after :meth:`run`."""
        return self.attention.caches

    def result(self, ref: Ref) -> Result:
        """What an operand became."""
        if ref.name not in self._results:
            if ref.name in self.graph.constants or ref.name in self.graph.parameters:
                return self._constant(ref.name)
            raise UnsupportedModel(f"{ref.name} is read in a way that has no ExecuTorch lowering")
        return self._results[ref.name]

    def set_result(self, op: Op, result: Result) -> None:
        """Record what an operation became."""
        self._results[op.name] = result

    def delegate(self) -> XnnpackGraph:
        """The open delegate."""
        if self._open is None:
            self._open = XnnpackGraph(self.method.data, self.longest)
        return self._open

    def node(self, result: Result) -> Node:
        """A result as a value of the open delegate."""
        result = result.stored
        graph = self.delegate()
        if result not in self._nodes:
            self._nodes[result] = graph.input(result.shape)
            self._arguments.append(self._tensors[result])
        return self._nodes[result]

    def from_node(self, node: Node, *, heads_second: bool = False) -> Result:
        """A value that the open delegate computes."""
        result = Result(node.shape, heads_second)
        self._nodes[result] = node
        self._produced.add(result)
        return result

    def from_value(self, value: Value, shape: Shape, *, heads_second: bool = False) -> Result:
        """A tensor that a kernel computes."""
        result = Result(shape, heads_second)
        self._tensors[result] = value
        return result

    def tensor(self, result: Result) -> Value:
        """A result as a tensor that kernels can read; closes the delegate that computes it."""
        result = result.stored
        if result not in self._tensors:
            self._close(result)
        return self._tensors[result]

    def bound(self, shape: Shape) -> list[int]:
        """A shape with the sequence length at its upper bound."""
        return [self.longest if size == SEQUENCE else int(size) for size in shape]

    def matrix(self, op: Op) -> Matrix:
        """The weight of a linear."""
        name = op.args[1].name
        role: Role = "lm_head" if self._is_head(op) else "linear"
        return Matrix(self._tied.get(name, name), role, bool(op.kwargs.get("transposed")))

    def _close(self, wanted: Result) -> None:
        """End the open delegate; its outputs are what is wanted now and what later operations read."""
        assert self._open is not None, "only an open delegate computes"
        outputs = [wanted]
        for name, result in self._results.items():
            stored = result.stored
            if stored in self._produced and stored not in outputs:
                if any(user.name not in self._done for user in self._users.get(name, ())):
                    outputs.append(stored)
        nodes = [self._nodes[result] for result in outputs]
        values = []
        for result in outputs:
            dynamic = SEQUENCE in result.shape
            self._tensors[result] = self.method.tensor(self.bound(result.shape), dynamic=dynamic)
            values.append(self._tensors[result])
        self.method.delegate(BACKEND, self._open.payload(nodes), [*self._arguments, *values])
        self._open, self._nodes, self._produced, self._arguments = None, {}, set(), []

    def _emit(self, op: Op) -> None:
        emitters: dict[str, Callable[[Op], None]] = {
            "aten.embedding": self._embedding,
            "aten.linear": self._linear,
            "aten.transpose": self._transpose,
            "aten.view": self._view,
            "aten.reshape": self._view,
            "aten.split": self._split,
            "aten.chunk": self._split,
            "getitem": self._getitem,
            "slm.rope_table": lambda op: None,
            "slm.rotary": self.attention.rotary,
            "slm.attention": self.attention.emit,
        }
        if op.target in emitters:
            emitters[op.target](op)
        elif op.target in arithmetic.EMITTERS:
            if op is self._last_position:
                self._select_last(op)
            self.set_result(op, arithmetic.EMITTERS[op.target](self, op))
        else:
            raise UnsupportedModel(
                f"operator {op.target} ({op.name}) has no ExecuTorch lowering",
                next_step="Please report the model type; lowerings live in toolkit/export/executorch.",
            )

    def _constant(self, name: str) -> Result:
        graph = self.delegate()
        if name in self.graph.constants:
            shape, numbers = self.graph.constants[name]
            array = np.array(numbers, np.float32).reshape(shape or (1,))
        else:
            array = self.weights.vector(name)
        result = Result(array.shape)
        self._nodes[result] = graph.constant(array)
        return result

    def _embedding(self, op: Op) -> None:
        table = op.args[0].name
        matrix = Matrix(self._tied.get(table, table), "embedding")
        if op.args[1] == Ref("position_ids"):
            self.set_result(op, self.attention.rows(self.weights.vector(table), "position embedding"))
            return
        if op.args[1] != Ref("input_ids"):
            raise UnsupportedModel(f"{op.name} looks up something other than tokens and positions")
        assert op.shape is not None, "an embedding yields one tensor"
        output = self.method.tensor(self.bound(op.shape))
        stored = self.weights.table(matrix)
        if isinstance(stored, QuantizedTensor):
            self._quantized_lookup(stored, output)
        else:
            literals = [self.method.literal(value) for value in (-1, False, False)]
            arguments = [self.method.constant(stored), self.input_ids, *literals, output, output]
            self.method.call("aten::embedding.out", arguments)
        self.set_result(op, self.from_value(output, op.shape))

    def _quantized_lookup(self, table: QuantizedTensor, output: Value) -> None:
        method, half = self.method, 2 ** (table.bits - 1)
        zero_points = table_zero_points(table)
        name = "embedding_4bit" if table.bits == 4 else "embedding_byte"
        arguments = [
            method.constant(table_values(table)),
            method.constant(table_scales(table)),
            method.literal(None) if zero_points is None else method.constant(zero_points),
            method.literal(-half),
            method.literal(half - 1),
            self.input_ids,
            method.literal(None),
            output,
            output,
        ]
        # The plain overload wants scales of the output's type; this one does not.
        method.call(f"quantized_decomposed::{name}.dtype_out", arguments)

    def _linear(self, op: Op) -> None:
        if op is self._last_position:
            self._select_last(op)
        source = self.result(op.args[0])
        bias = op.args[2] if len(op.args) > 2 else op.kwargs.get("bias")
        weight = self.weights.filter(self.matrix(op))
        node = self.node(source)
        offset = self.delegate().constant(self.weights.vector(bias.name)) if isinstance(bias, Ref) else None
        self.set_result(op, self.from_node(self.delegate().linear(node, weight, offset)))

    def _is_head(self, op: Op) -> bool:
        name = op.args[1].name
        return op.name == self.graph.output or name in self._tied or name.startswith("lm_head.")

    def _earliest_row_wise(self) -> Op | None:
        """The first operation that need only see the last position: the head, or the norm before it."""
        head = next((op for op in self.graph.ops if op.target == "aten.linear" and self._is_head(op)), None)
        if head is None:
            raise UnsupportedModel("the graph has no output projection")
        before = self.graph.by_name.get(head.args[0].name)
        alone = before is not None and len(self._users[before.name]) == 1
        return before if before is not None and alone and before.target in _ROW_WISE else head

    def _select_last(self, op: Op) -> None:
        """Make the operation read its operand's last position only."""
        source = self.result(op.args[0])
        shape: Shape = (1, 1, *source.shape[2:])
        output = self.method.tensor(self.bound(shape), dynamic=False)
        # The kernel takes the position before the end, however long the sequence is.
        arguments = [self.tensor(source), *map(self.method.literal, (1, -1, _TO_THE_END, 1)), output, output]
        self.method.call("aten::slice_copy.Tensor_out", arguments)
        self._results[op.args[0].name] = self.from_value(output, shape)

    def _transpose(self, op: Op) -> None:
        source = self.result(op.args[0])
        rank = len(source.shape)
        if rank != 4 or {int(dim) % rank for dim in op.args[1:3]} != {1, 2}:
            raise UnsupportedModel(f"{op.name} transposes dimensions {op.args[1:3]} of {source.shape}")
        swapped = Result(source.shape, not source.heads_second, source)
        self.set_result(op, swapped)

    def _view(self, op: Op) -> None:
        source = self.result(op.args[0])
        assert op.shape is not None, "a view yields one tensor"
        if source.heads_second or SEQUENCE not in op.shape:
            raise UnsupportedModel(f"{op.name} reshapes {source.shape} to {op.shape}")
        if source.shape == op.shape:
            self.set_result(op, source)
            return
        node = self.node(source)
        self.set_result(op, self.from_node(self.delegate().reshape(node, op.shape)))

    def _split(self, op: Op) -> None:
        source = self.result(op.args[0])
        total = int(source.shape[-1])
        dim = int(op.args[2]) if len(op.args) > 2 else 0
        if source.heads_second or dim % len(source.shape) != len(source.shape) - 1:
            raise UnsupportedModel(f"{op.target} ({op.name}) does not cut the last dimension")
        self._parts[op.name] = spans(_widths(op, total))
        self._results[op.name] = source

    def _getitem(self, op: Op) -> None:
        parent = self.graph.by_name[op.args[0].name]
        if parent.target == "slm.rope_table":
            return
        start, stop = self._parts[parent.name][op.args[1]]
        source = self._results[parent.name]
        part = self.delegate_columns(source, start, stop)
        self.set_result(op, part)

    def delegate_columns(self, source: Result, start: int, stop: int) -> Result:
        """Columns of the last dimension."""
        node = self.node(source)
        return self.from_node(self.delegate().columns(node, start, stop), heads_second=source.heads_second)


def _widths(op: Op, total: int) -> list[int]:
    """Widths that aten.split (by size) or aten.chunk (by count) cuts ``total`` columns into."""
    if op.target == "aten.split" and isinstance(op.args[1], tuple):
        return [int(width) for width in op.args[1]]
    size = int(op.args[1]) if op.target == "aten.split" else -(-total // int(op.args[1]))
    return [min(size, total - start) for start in range(0, total, size)]


def spans(widths: Sequence[int]) -> list[tuple[int, int]]:
    """(start, stop) of consecutive parts."""
    ends = np.cumsum(widths).tolist()
    return list(zip([0, *ends[:-1]], ends, strict=True))
