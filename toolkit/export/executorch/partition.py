"""Which part of a decoder runs where: XNNPACK delegates between the kernels that XNNPACK lacks.

What XNNPACK can compute goes into the delegate that is open; a kernel that needs one of its results closes
it. Heads stay where the projections leave them, [1, S, heads, head_dim], which is also what the attention
kernel takes: transposes to [1, heads, S, head_dim] cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.program import Method, Value
from toolkit.export.executorch.program_data import WeightStore
from toolkit.export.executorch.xnnpack import TEXT, Node, Shape, XnnpackGraph


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


class Partition:
    """A method under construction, the delegate that is open in it, and what each operation became.

    Args:
        graph: the captured decoder.
        method: receives the instructions.
        weights: writes the parameters.
        longest: largest number of tokens in one call.
        context_length: tokens that the KV cache holds.
    """

    def __init__(
        self, graph: DecoderGraph, method: Method, weights: WeightStore, *, longest: int, context_length: int
    ) -> None:
        self.graph = graph
        self.method = method
        self.weights = weights
        self.longest = longest
        self.context_length = context_length
        self.input_ids = method.input([1, longest], "int64", dynamic=True)
        self.input_pos = method.input([1], "int64", dynamic=False)
        self.users = graph.users()
        self._results: dict[str, Result] = {}
        self._tensors: dict[Result, Value] = {}
        self._open: XnnpackGraph | None = None
        # Whether the open delegate's products have quantized weights; None where it has none yet.
        self._quantized_products: bool | None = None
        self._nodes: dict[Result, Node] = {}
        self._produced: set[Result] = set()
        self._arguments: list[Value] = []
        self._done: set[str] = set()
        self._span: tuple[Value, Value, Value] | None = None

    def result(self, ref: Ref) -> Result:
        """What an operand became."""
        if ref.name not in self._results:
            if ref.name in self.graph.constants or ref.name in self.graph.parameters:
                return self._constant(ref.name)
            raise UnsupportedModel(f"{ref.name} is read in a way that has no ExecuTorch lowering")
        return self._results[ref.name]

    def set_result(self, name: str, result: Result) -> None:
        """Record what an operation became; what is recorded later replaces it."""
        self._results[name] = result

    def finish(self, op: Op) -> None:
        """Remember that an operation has read all that it reads."""
        self._done.add(op.name)

    def delegate(self) -> XnnpackGraph:
        """The open delegate."""
        if self._open is None:
            self._open = XnnpackGraph(self.method.segments, self.longest, self.context_length)
        self._open.module = self.method.operators.module
        return self._open

    def begin_products(self, *, quantized: bool) -> None:
        """Close a delegate that holds products of the other kind: of quantized weights, or of floats.

        The runner's kernels run a delegate whole or not at all, and leave products of floats to XNNPACK.
        """
        if self._open is not None and self._quantized_products not in (None, quantized):
            self._close([])
        self._quantized_products = quantized

    def node(self, result: Result) -> Node:
        """A result as a value of the open delegate."""
        result = result.stored
        graph = self.delegate()
        if result not in self._nodes:
            if not self.method.holds_floats(self._tensors[result]):
                # XNNPACK would take their bytes for floats.
                raise UnsupportedModel(
                    "integers that the model computes are read where XNNPACK has floats only"
                )
            self._nodes[result] = graph.input(result.shape)
            self._arguments.append(self._tensors[result])
        return self._nodes[result]

    def from_node(self, node: Node, *, heads_second: bool = False) -> Result:
        """A value that the open delegate computes."""
        result = Result(node.shape, heads_second)
        self._nodes[result] = node
        self._produced.add(result)
        return result

    def from_value(self, value: Value, shape: Shape) -> Result:
        """A tensor that a kernel computes."""
        result = Result(shape)
        self._tensors[result] = value
        return result

    def tensor(self, result: Result) -> Value:
        """A result as a tensor that kernels can read; closes the delegate that computes it."""
        return self.tensors([result])[0]

    def tensors(self, results: Sequence[Result]) -> list[Value]:
        """Results as tensors, those of the open delegate together."""
        stored = [result.stored for result in results]
        if wanted := [result for result in dict.fromkeys(stored) if result not in self._tensors]:
            self._close(wanted)
        return [self._tensors[result] for result in stored]

    def positions(self) -> tuple[Value, Value, Value]:
        """The call's first position, its number of tokens, and the position after its last, as integers."""
        if self._span is None:
            method = self.method
            start, length, end = method.integer(), method.integer(), method.integer()
            method.call("aten::_local_scalar_dense", [self.input_pos, start])
            method.call("aten::sym_size.int", [self.input_ids, method.literal(1), length])
            method.call("executorch_prim::add.Scalar", [start, length, end])
            self._span = start, length, end
        return self._span

    def bound(self, shape: Shape) -> list[int]:
        """A shape with the sequence length at its upper bound."""
        bounds = {SEQUENCE: self.longest, TEXT: self.context_length}
        return [bounds[size] if isinstance(size, str) else size for size in shape]

    def _close(self, wanted: Sequence[Result]) -> None:
        """End the open delegate; its outputs are what is wanted now and what later operations read."""
        assert self._open is not None, "only an open delegate computes"
        outputs = list(wanted)
        for name, result in self._results.items():
            stored = result.stored
            if stored in self._produced and stored not in outputs:
                if any(user.name not in self._done for user in self.users.get(name, ())):
                    outputs.append(stored)
        nodes = [self._nodes[result] for result in outputs]
        values = []
        for result in outputs:
            dynamic = SEQUENCE in result.shape or TEXT in result.shape
            self._tensors[result] = self.method.tensor(self.bound(result.shape), dynamic=dynamic)
            values.append(self._tensors[result])
        self.method.delegate(self._open, nodes, [*self._arguments, *values])
        self._open, self._nodes, self._produced, self._arguments = None, {}, set(), []
        self._quantized_products = None

    def _constant(self, name: str) -> Result:
        array = self.numbers(name)
        result = Result(array.shape)
        self._nodes[result] = self.delegate().constant(array)
        return result

    def numbers(self, name: str) -> NDArray[np.float32]:
        """A constant or parameter."""
        if name in self.graph.constants:
            shape, numbers = self.graph.constants[name]
            return np.array(numbers, np.float32).reshape(shape or (1,))
        return self.weights.vector(name)
