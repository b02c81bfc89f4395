"""Lowerings of plain tensor operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from toolkit.capture.graph import SEQUENCE, Op, Ref
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx.builder import MICROSOFT
from toolkit.export.onnx.context import LoweringContext
from toolkit.export.onnx.heads import follow_columns

Emitter = Callable[[LoweringContext, Op], str]


def reshape(lowering: LoweringContext, value: str, shape: tuple[int | str, ...]) -> str:
    """Reshape; the sequence length is copied from its position or inferred."""
    sizes = [(0 if index == 1 else -1) if size == SEQUENCE else int(size) for index, size in enumerate(shape)]
    return lowering.builder.node("Reshape", [value, lowering.builder.constant(np.array(sizes, np.int64))])[0]


def binary(kind: str) -> Emitter:
    """An elementwise operator of two operands, either of which may be a number."""

    def emit(lowering: LoweringContext, op: Op) -> str:
        if op.kwargs.get("alpha", 1) != 1:
            raise UnsupportedModel(f"{op} with alpha={op.kwargs['alpha']}")
        return lowering.builder.node(kind, [_operand(lowering, arg) for arg in op.args[:2]])[0]

    return emit


def unary(kind: str, *, domain: str = "", **attributes: Any) -> Emitter:
    """An elementwise operator of one operand."""

    def emit(lowering: LoweringContext, op: Op) -> str:
        return lowering.builder.node(kind, [lowering.value(op.args[0])], domain=domain, **attributes)[0]

    return emit


def _operand(lowering: LoweringContext, arg: Any) -> str:
    if isinstance(arg, Ref):
        return lowering.value(arg)
    return lowering.builder.constant(np.array(arg, np.float32))


def _view(lowering: LoweringContext, op: Op) -> str:
    assert op.shape is not None, "a view yields one tensor"
    # Only [1, S, ...] shapes occur in decoders of batch 1, which is what reshape() can express.
    if SEQUENCE in op.shape and op.shape[:2] != (1, SEQUENCE):
        raise UnsupportedModel(f"{op} reshapes to {op.shape}")
    return reshape(lowering, lowering.value(op.args[0]), op.shape)


def _transpose(lowering: LoweringContext, op: Op) -> str:
    rank = len(op.shape or ())
    order = list(range(rank))
    first, second = (int(dim) % rank for dim in op.args[1:3])
    order[first], order[second] = order[second], order[first]
    return lowering.builder.node("Transpose", [lowering.value(op.args[0])], perm=order)[0]


def _cut(lowering: LoweringContext, op: Op) -> str:
    """slice, and one part of split or chunk, of the last dimension."""
    columns = follow_columns(lowering.graph, Ref(op.name))
    if columns.source == Ref(op.name):
        raise UnsupportedModel(f"{op} does not cut the last dimension")
    ends = [np.array([number], np.int64) for number in (columns.start, columns.stop, -1)]
    inputs = [lowering.value(columns.source), *(lowering.builder.constant(end) for end in ends)]
    return lowering.builder.node("Slice", inputs)[0]


def _cat(lowering: LoweringContext, op: Op) -> str:
    axis = int(op.args[1]) if len(op.args) > 1 else 0
    return lowering.builder.node("Concat", [lowering.value(ref) for ref in op.args[0]], axis=axis)[0]


def _gelu(lowering: LoweringContext, op: Op) -> str:
    approximate = op.kwargs.get("approximate", "none")
    return unary("Gelu", approximate=str(approximate))(lowering, op)


def _unsupported(lowering: LoweringContext, op: Op) -> str:
    raise UnsupportedModel(f"{op} is not followed by the attention that would fuse it")


# Emitted on demand only: fusions usually swallow them.
LAZY: dict[str, Emitter] = {
    "aten.view": _view,
    "aten.reshape": _view,
    "aten.transpose": _transpose,
    "aten.slice": _cut,
    "getitem": _cut,
    "aten.split": _unsupported,
    "aten.chunk": _unsupported,
    "aten.cat": _cat,
    "slm.rotary": _unsupported,
    "slm.rope_table": _unsupported,
}

EMITTERS: dict[str, Emitter] = {
    **LAZY,
    "aten.add": binary("Add"),
    "aten.sub": binary("Sub"),
    "aten.mul": binary("Mul"),
    "aten.div": binary("Div"),
    "aten.tanh": unary("Tanh"),
    "aten.relu": unary("Relu"),
    "aten.sigmoid": unary("Sigmoid"),
    # x * sigmoid(x), one kernel instead of two.
    "aten.silu": unary("QuickGelu", domain=MICROSOFT, alpha=1.0),
    "aten.gelu": _gelu,
}
