"""Linears and the token table: MatMulNBits, merged where several read the same input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.capture.graph import Op
from toolkit.capture.patterns import linear_bias
from toolkit.compress.parameters import Matrix
from toolkit.export.onnx.builder import MICROSOFT
from toolkit.export.onnx.context import LoweringContext
from toolkit.export.onnx.heads import Columns
from toolkit.export.onnx.initializers import StoredMatrix


@dataclass(frozen=True)
class Span:
    """Columns ``start:stop`` of an ONNX value that has ``width`` columns."""

    value: str
    width: int
    start: int
    stop: int


class Linears:
    """Emits the linears of a graph.

    Linears over the same input become one product: fewer operators to dispatch per token, and one longer
    loop for the threads to share.
    """

    def __init__(self, lowering: LoweringContext) -> None:
        self._lowering = lowering
        self._spans: dict[str, Span] = {}
        self._members: dict[str, list[Op]] = {}

    def emit(self, op: Op) -> None:
        """Emit a linear together with those that share its input; sets the value of ``op`` alone."""
        if op.name not in self._spans:
            group = self._group(op)
            if self._lowering.weights.scheme(self._lowering.matrix(op)).quantized:
                self._emit_quantized(group)
            else:
                self._emit_float(op)
        span = self._spans[op.name]
        self._lowering.set_value(
            op.name, span.value if span.stop - span.start == span.width else self._cut(op)
        )

    def span(self, columns: Columns) -> Span | None:
        """Where columns of a linear's result ended up; None when they are not a linear's."""
        op = self._lowering.graph.by_name.get(columns.source.name)
        if op is None or op.target != "aten.linear":
            return None
        if op.name not in self._spans:
            self.emit_without_cutting(op)
        span = self._spans[op.name]
        return Span(span.value, span.width, span.start + columns.start, span.start + columns.stop)

    def emit_without_cutting(self, op: Op) -> None:
        """Emit a linear's product without asking for its own columns."""
        if self._lowering.weights.scheme(self._lowering.matrix(op)).quantized:
            self._emit_quantized(self._group(op))
        else:
            self._emit_float(op)

    def whole(self, spans: Sequence[Span | None]) -> str | None:
        """The value that consists of exactly these spans in this order."""
        position, value = 0, None
        for span in spans:
            if span is None or span.start != position or (value is not None and span.value != value):
                return None
            position, value = span.stop, span.value
        return value if spans[-1] is not None and position == spans[-1].width else None

    def gather(self, matrix: Matrix, indices: str) -> str:
        """Rows of a quantized table."""
        weights, builder = self._lowering.weights, self._lowering.builder
        [stored] = weights.quantized([matrix])
        table = weights.table(stored)
        rows = builder.node(
            "GatherBlockQuantized",
            [table.values, indices, table.scales, table.zero_points],
            domain=MICROSOFT,
            hint="embedding",
            bits=table.bits,
            block_size=table.block_size,
            quantize_axis=1,
            gather_axis=0,
        )[0]
        if table.blocks * table.block_size == table.columns:
            return rows
        ends = [builder.constant(np.array([number], np.int64)) for number in (0, table.columns, 2)]
        return builder.node("Slice", [rows, *ends], hint="embedding")[0]

    def _group(self, op: Op) -> list[Op]:
        """All linears over the same input that may be merged with this one, in graph order."""
        lowering = self._lowering
        if lowering.is_head(op):
            return [op]
        return [
            user
            for user in lowering.users[op.args[0].name]
            if user.target == "aten.linear"
            and user.args[0] == op.args[0]
            and not lowering.is_head(user)
            and (linear_bias(user) is None) == (linear_bias(op) is None)
            and lowering.weights.scheme(lowering.matrix(user)).quantized
        ]

    def _emit_quantized(self, group: list[Op]) -> None:
        lowering = self._lowering
        source = lowering.linear_input(group[0])
        by_name = {lowering.matrix(op).name: op for op in group}
        for stored in lowering.weights.quantized([lowering.matrix(op) for op in group]):
            members = [by_name[name] for name in stored.members]
            inputs = self._with_group_sums(source, stored) if stored.group_sums else source
            value = self._product(inputs, stored, members)
            start = 0
            for member in members:
                width = self._width(member)
                self._spans[member.name] = Span(value, stored.rows, start, start + width)
                self._members[member.name] = members
                start += width

    def _with_group_sums(self, source: str, stored: StoredMatrix) -> str:
        """The inputs followed by the sum of each group of them."""
        builder = self._lowering.builder
        shape = builder.constant(np.array([1, -1, stored.group_sums, stored.block_size], np.int64))
        groups = builder.node("Reshape", [source, shape])[0]
        last = builder.constant(np.array([-1], np.int64))
        sums = builder.node("ReduceSum", [groups, last], keepdims=0)[0]
        return builder.node("Concat", [source, sums], axis=-1)[0]

    def _product(self, source: str, stored: StoredMatrix, members: list[Op]) -> str:
        biases = [bias.name for bias in map(linear_bias, members) if bias is not None]
        bias = self._lowering.weights.joined_vectors(biases) if biases else ""
        scheme = self._lowering.weights.scheme(self._lowering.matrix(members[0]))
        return self._lowering.builder.node(
            "MatMulNBits",
            [source, stored.values, stored.scales, stored.zero_points, "", bias],
            domain=MICROSOFT,
            hint=members[0].args[1].name.removesuffix(".weight"),
            K=stored.columns,
            N=stored.rows,
            bits=stored.bits,
            block_size=stored.block_size,
            accuracy_level=4 if scheme.dynamic_activation else 0,
        )[0]

    def _emit_float(self, op: Op) -> None:
        lowering = self._lowering
        matrix = lowering.matrix(op)
        hint = matrix.name.removesuffix(".weight")
        inputs = [lowering.linear_input(op), lowering.weights.float_matrix(matrix)]
        # transB keeps the checkpoint's [out, in] layout, so a tied table is stored once.
        value = lowering.builder.node("FusedMatMul", inputs, domain=MICROSOFT, hint=hint, transB=1)[0]
        bias = linear_bias(op)
        if bias is not None:
            value = lowering.builder.node("Add", [value, lowering.value(bias)], hint=hint)[0]
        width = self._width(op)
        self._spans[op.name] = Span(value, width, 0, width)
        self._members[op.name] = [op]

    def _cut(self, op: Op) -> str:
        """Split a merged product; all members get their values at once."""
        lowering = self._lowering
        members = self._members[op.name]
        widths = np.array([self._width(member) for member in members], np.int64)
        inputs = [self._spans[op.name].value, lowering.builder.constant(widths)]
        parts = lowering.builder.node("Split", inputs, outputs=len(members), axis=-1)
        for member, part in zip(members, parts, strict=True):
            lowering.set_value(member.name, part)
        return parts[members.index(op)]

    def _width(self, op: Op) -> int:
        assert op.shape is not None, "a linear yields one tensor"
        return int(op.shape[-1])
