"""Lowerings of tensor arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np

from toolkit.capture.graph import Op, Ref
from toolkit.capture.patterns import limits
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx.builder import MICROSOFT
from toolkit.export.onnx.context import Emitter, LoweringContext


def binary(kind: str) -> Emitter:
    """An elementwise operator of two operands, either of which may be a number."""

    def emit(lowering: LoweringContext, op: Op) -> str:
        for option in ("alpha", "rounding_mode"):
            if op.kwargs.get(option, 1) not in (1, None):
                raise UnsupportedModel(f"{op} with {option}={op.kwargs[option]}")
        return lowering.builder.node(kind, [_operand(lowering, arg) for arg in op.args[:2]])[0]

    return emit


def unary(kind: str, *, domain: str = "", **attributes: Any) -> Emitter:
    """An elementwise operator of one operand."""

    def emit(lowering: LoweringContext, op: Op) -> str:
        return lowering.builder.node(kind, [lowering.value(op.args[0])], domain=domain, **attributes)[0]

    return emit


def _operand(lowering: LoweringContext, arg: Any) -> str:
    if isinstance(arg, Ref):
        if arg.name in lowering.graph.constants:
            # Arithmetic with the text is in floats, whatever numbers the model writes.
            shape, numbers = lowering.graph.constants[arg.name]
            return lowering.builder.constant(np.array(numbers, np.float32).reshape(shape))
        return lowering.value(arg)
    return lowering.builder.constant(np.array(arg, np.float32))


def _gelu(lowering: LoweringContext, op: Op) -> str:
    approximate = op.kwargs.get("approximate", "none")
    return unary("Gelu", approximate=str(approximate))(lowering, op)


def _rsqrt(lowering: LoweringContext, op: Op) -> str:
    root = lowering.builder.node("Sqrt", [lowering.value(op.args[0])])
    return lowering.builder.node("Reciprocal", root)[0]


def _expm1(lowering: LoweringContext, op: Op) -> str:
    # Elu is expm1 below zero without the loss of digits, and x itself above.
    value = lowering.value(op.args[0])
    exponential = lowering.builder.node("Exp", [value])[0]
    one, zero = (lowering.builder.constant(np.array(number, np.float32)) for number in (1, 0))
    above = lowering.builder.node("Sub", [exponential, one])[0]
    below = lowering.builder.node("Elu", [value])[0]
    negative = lowering.builder.node("Less", [value, zero])[0]
    return lowering.builder.node("Where", [negative, below, above])[0]


def _softplus(lowering: LoweringContext, op: Op) -> str:
    if len(op.args) > 1 and op.args[1] != 1:
        raise UnsupportedModel(f"{op} with beta={op.args[1]}")
    return unary("Softplus")(lowering, op)


def _clamp(lowering: LoweringContext, op: Op) -> str:
    low, high = limits(op)
    value = lowering.value(op.args[0])
    if isinstance(low, Ref) or isinstance(high, Ref):
        # Clip takes numbers only.
        for kind, bound in (("Max", low), ("Min", high)):
            if bound is not None:
                value = lowering.builder.node(kind, [value, _operand(lowering, bound)])[0]
        return value
    bounds = ["" if bound is None else _operand(lowering, bound) for bound in (low, high)]
    return lowering.builder.node("Clip", [value, *bounds])[0]


def _power(lowering: LoweringContext, op: Op) -> str:
    return lowering.builder.node("Pow", [_operand(lowering, arg) for arg in op.args[:2]])[0]


def _reduce(kind: str) -> Emitter:
    def emit(lowering: LoweringContext, op: Op) -> str:
        dims = op.args[1] if len(op.args) > 1 else op.kwargs.get("dim")
        keep = op.args[2] if len(op.args) > 2 else op.kwargs.get("keepdim", False)
        if dims is None:
            raise UnsupportedModel(f"{op} reduces the whole text")
        axes = np.array(dims if isinstance(dims, tuple) else [dims], np.int64)
        inputs = [lowering.value(op.args[0]), lowering.builder.constant(axes)]
        return lowering.builder.node(kind, inputs, keepdims=int(bool(keep)))[0]

    return emit


def _softmax(lowering: LoweringContext, op: Op) -> str:
    return lowering.builder.node("Softmax", [lowering.value(op.args[0])], axis=int(op.args[1]))[0]


def _matmul(lowering: LoweringContext, op: Op) -> str:
    return lowering.builder.node("MatMul", [lowering.value(ref) for ref in op.args[:2]])[0]


def _where(lowering: LoweringContext, op: Op) -> str:
    return lowering.builder.node("Where", [_operand(lowering, arg) for arg in op.args[:3]])[0]


EMITTERS: dict[str, Emitter] = {
    "aten.add": binary("Add"),
    "aten.sub": binary("Sub"),
    "aten.mul": binary("Mul"),
    "aten.div": binary("Div"),
    "aten.maximum": binary("Max"),
    "aten.minimum": binary("Min"),
    "aten.tanh": unary("Tanh"),
    "aten.relu": unary("Relu"),
    "aten.sigmoid": unary("Sigmoid"),
    "aten.exp": unary("Exp"),
    "aten.log": unary("Log"),
    "aten.sqrt": unary("Sqrt"),
    "aten.abs": unary("Abs"),
    "aten.floor": unary("Floor"),
    "aten.sin": unary("Sin"),
    "aten.cos": unary("Cos"),
    "aten.erf": unary("Erf"),
    "aten.reciprocal": unary("Reciprocal"),
    "aten.hardswish": unary("HardSwish"),
    "aten.mish": unary("Mish"),
    # x * sigmoid(x), one kernel instead of two.
    "aten.silu": unary("QuickGelu", domain=MICROSOFT, alpha=1.0),
    "aten.gelu": _gelu,
    "aten.gt": binary("Greater"),
    "aten.lt": binary("Less"),
    "aten.ge": binary("GreaterOrEqual"),
    "aten.le": binary("LessOrEqual"),
    "aten.where": _where,
    "aten.expm1": _expm1,
    "aten.rsqrt": _rsqrt,
    "aten.softplus": _softplus,
    **dict.fromkeys(
        ("aten.clamp", "aten.clamp_min", "aten.clamp_max", "aten.relu6", "aten.hardtanh"), _clamp
    ),
    "aten.pow": _power,
    "aten.mean": _reduce("ReduceMean"),
    "aten.sum": _reduce("ReduceSum"),
    "aten.amax": _reduce("ReduceMax"),
    "aten.softmax": _softmax,
    "aten._softmax": _softmax,
    "aten.matmul": _matmul,
    "aten.bmm": _matmul,
}
