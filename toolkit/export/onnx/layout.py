"""Lowerings of operators that move values without computing: views, transposes, cuts, joins."""

from __future__ import annotations

import numpy as np

from toolkit.capture.graph import SEQUENCE, Op, Ref
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx.context import Emitter, LoweringContext
from toolkit.export.onnx.heads import follow_columns, is_last
from toolkit.export.onnx.routing import TWO_RESULTS, part


def reshape(lowering: LoweringContext, value: str, shape: tuple[int | str, ...]) -> str:
    """Reshape; the sequence length is copied from its position or inferred."""
    if shape.count(SEQUENCE) > 1:
        raise UnsupportedModel(f"a tensor of shape {shape} depends on the text's length twice")
    if SEQUENCE in shape[:2]:
        sizes = [
            (0 if index == 1 else -1) if size == SEQUENCE else int(size) for index, size in enumerate(shape)
        ]
    else:
        sizes = [-1 if size == SEQUENCE else int(size) for size in shape]
    return lowering.builder.node("Reshape", [value, lowering.builder.constant(np.array(sizes, np.int64))])[0]


def _view(lowering: LoweringContext, op: Op) -> str:
    assert op.shape is not None, "a view yields one tensor"
    before = lowering.shape(op.args[0])
    kept = len(before) > 1 and before[1] == SEQUENCE
    if SEQUENCE in op.shape[:2] and not (kept and op.shape[:2] == (1, SEQUENCE)):
        # The length is elsewhere in the operand, so that it cannot be copied from the same place.
        sizes = [-1 if size == SEQUENCE else int(size) for size in op.shape]
        shape = lowering.builder.constant(np.array(sizes, np.int64))
        return lowering.builder.node("Reshape", [lowering.value(op.args[0]), shape])[0]
    return reshape(lowering, lowering.value(op.args[0]), op.shape)


def _transpose(lowering: LoweringContext, op: Op) -> str:
    rank = len(op.shape or ())
    order = list(range(rank))
    first, second = (int(dim) % rank for dim in op.args[1:3])
    order[first], order[second] = order[second], order[first]
    return lowering.builder.node("Transpose", [lowering.value(op.args[0])], perm=order)[0]


def _permute(lowering: LoweringContext, op: Op) -> str:
    return lowering.builder.node("Transpose", [lowering.value(op.args[0])], perm=list(op.args[1]))[0]


def _cut(lowering: LoweringContext, op: Op) -> str:
    """slice, and one part of split or chunk of the last dimension, or of an operator with two results."""
    if op.target == "getitem":
        parent = lowering.graph.by_name[op.args[0].name]
        if parent.target in TWO_RESULTS:
            return part(lowering, op, parent)
    if op.target == "aten.slice" and not is_last(op, int(op.args[1])):
        source, (start, stop), axis = op.args[0], op.args[2:4], int(op.args[1])
    else:
        columns = follow_columns(lowering.graph, Ref(op.name))
        if columns.source == Ref(op.name):
            raise UnsupportedModel(f"{op} does not cut the last dimension")
        source, start, stop, axis = columns.source, columns.start, columns.stop, -1
    ends = [np.array([number], np.int64) for number in (start, stop, axis)]
    inputs = [lowering.value(source), *(lowering.builder.constant(end) for end in ends)]
    return lowering.builder.node("Slice", inputs)[0]


def _cat(lowering: LoweringContext, op: Op) -> str:
    axis = int(op.args[1]) if len(op.args) > 1 else 0
    return lowering.builder.node("Concat", [lowering.value(ref) for ref in op.args[0]], axis=axis)[0]


def _expand(lowering: LoweringContext, op: Op) -> str:
    assert op.shape is not None, "an expansion yields one tensor"
    # A size of 1 keeps what the operand has there.
    sizes = np.array([1 if size == SEQUENCE else int(size) for size in op.shape], np.int64)
    shape = lowering.builder.constant(sizes)
    return lowering.builder.node("Expand", [lowering.value(op.args[0]), shape])[0]


def _pad(lowering: LoweringContext, op: Op) -> str:
    source, widths, value = op.args
    rank, given = len(lowering.shape(source)), len(widths) // 2
    # From the last dimension on, before and after; ONNX wants all befores, then all afters.
    sides = [[0] * (rank - given) + list(widths[side::2])[::-1] for side in (0, 1)]
    builder = lowering.builder
    inputs = [
        builder.constant(np.array(sum(sides, []), np.int64)),
        builder.constant(np.array(value, np.float32)),
    ]
    return builder.node("Pad", [lowering.value(source), *inputs])[0]


def _unsupported(lowering: LoweringContext, op: Op) -> str:
    raise UnsupportedModel(f"{op} cannot be followed")


# Emitted on demand only: fusions usually swallow them.
LAZY: dict[str, Emitter] = {
    "aten.view": _view,
    "aten.reshape": _view,
    "aten.transpose": _transpose,
    "aten.permute": _permute,
    "aten.slice": _cut,
    "getitem": _cut,
    "aten.split": _unsupported,
    "aten.chunk": _unsupported,
    **dict.fromkeys(TWO_RESULTS, _unsupported),
    "aten.cat": _cat,
    "aten.expand": _expand,
    "slm.pad": _pad,
}
