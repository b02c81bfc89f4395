"""Lowerings of what routers compute with: the largest entries, their places, look-ups by them, flags."""

from __future__ import annotations

import numpy as np

from toolkit.capture.graph import Op, Ref
from toolkit.capture.patterns import entries_looked_up
from toolkit.errors import UnsupportedModel
from toolkit.export.onnx.builder import BOOL, FLOAT, INT64
from toolkit.export.onnx.context import Emitter, LoweringContext

_TYPES = {"float32": FLOAT, "int64": INT64, "bool": BOOL}
# Operators with two results, of which parts are read.
TWO_RESULTS = ("aten.topk", "aten.max")


def part(lowering: LoweringContext, op: Op, parent: Op) -> str:
    """One result of an operator with two: values or their places."""
    index = int(op.args[1])
    name = f"{parent.name}#{index}"
    if not lowering.has_value(name):
        results = _largest(lowering, parent) if parent.target == "aten.topk" else _maximum(lowering, parent)
        for place, value in enumerate(results):
            lowering.set_value(f"{parent.name}#{place}", value)
    return lowering.value(Ref(name))


def _largest(lowering: LoweringContext, op: Op) -> list[str]:
    count = lowering.builder.constant(np.array([int(op.args[1])], np.int64))
    return lowering.builder.node(
        "TopK",
        [lowering.value(op.args[0]), count],
        outputs=2,
        axis=int(op.argument(2, "dim", -1)),
        largest=int(op.argument(3, "largest", True)),
    )


def _maximum(lowering: LoweringContext, op: Op) -> list[str]:
    dim, keep = int(op.args[1]), int(bool(op.argument(2, "keepdim", False)))
    source, builder = lowering.value(op.args[0]), lowering.builder
    axes = builder.constant(np.array([dim], np.int64))
    values = builder.node("ReduceMax", [source, axes], keepdims=keep)
    return [*values, *builder.node("ArgMax", [source], axis=dim, keepdims=keep)]


def _gather(lowering: LoweringContext, op: Op) -> str:
    values = [lowering.value(op.args[0]), lowering.value(op.argument(2, "index", None))]
    return lowering.builder.node("GatherElements", values, axis=int(op.argument(1, "dim", None)))[0]


def _index(lowering: LoweringContext, op: Op) -> str:
    values = [lowering.value(ref) for ref in entries_looked_up(lowering.graph, op)]
    return lowering.builder.node("Gather", values, axis=0)[0]


def _scatter(lowering: LoweringContext, op: Op) -> str:
    source, dim, places = lowering.value(op.args[0]), int(op.args[1]), lowering.value(op.args[2])
    written, builder = op.args[3], lowering.builder
    if isinstance(written, Ref):
        updates = lowering.value(written)
    else:
        number = builder.constant(np.array(written, np.float32))
        updates = builder.node("Expand", [number, builder.node("Shape", [places])[0]])[0]
    return builder.node("ScatterElements", [source, places, updates], axis=dim)[0]


def _cast(lowering: LoweringContext, op: Op) -> str:
    if op.dtype not in _TYPES:
        raise UnsupportedModel(f"{op} makes numbers of type {op.dtype}")
    return lowering.builder.node("Cast", [lowering.value(op.args[0])], to=_TYPES[op.dtype])[0]


def _not(lowering: LoweringContext, op: Op) -> str:
    if op.dtype != "bool":
        raise UnsupportedModel(f"{op} inverts bits of numbers")
    return lowering.builder.node("Not", [lowering.value(op.args[0])])[0]


EMITTERS: dict[str, Emitter] = {
    "aten.gather": _gather,
    "aten.index": _index,
    "aten.scatter": _scatter,
    "aten.to": _cast,
    "aten._to_copy": _cast,
    "aten.bitwise_not": _not,
    "aten.logical_not": _not,
}
