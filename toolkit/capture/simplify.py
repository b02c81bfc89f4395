"""Rewrites of a captured graph that hold for every engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref, references
from toolkit.capture.normalize import normalize

_INPUT_SHAPES: dict[str, tuple[int | str, ...]] = {"input_ids": (1, SEQUENCE), "position_ids": (1, SEQUENCE)}
_NO_OPS = (
    "aten.alias",
    "aten.contiguous",
    "aten.clone",
    "aten.dropout",
    "aten.detach",
    "aten.lift_fresh_copy",
)


def simplify(graph: DecoderGraph) -> DecoderGraph:
    """Drop operations without effect, write Conv1D as the linear that it is, say each thing in one way."""
    graph = _positions_as_given(_conv1d_to_linear(without_no_ops(graph)))
    return without_dead_code(without_no_ops(normalize(without_dead_code(graph))))


# What may change the form of the positions and not their order along the text.
_REPEATS = ("aten.unsqueeze", "aten.expand", "aten.view", "aten.reshape", "aten.select", "aten.slice")


def _positions_as_given(graph: DecoderGraph) -> DecoderGraph:
    """Rotary tables looked up with positions that were repeated, and one of the repeats taken: m-rope."""
    position = Ref("position_ids")

    def source(ref: Any) -> Any:
        op = graph.by_name.get(ref.name) if isinstance(ref, Ref) else None
        while op is not None and op.target in _REPEATS and _along_the_text(op.shape):
            ref = op.args[0]
            op = graph.by_name.get(ref.name)
        return ref

    ops = tuple(
        replace(op, args=(position, *op.args[1:]))
        if op.target == "slm.rope_table" and source(op.args[0]) == position
        else op
        for op in graph.ops
    )
    return replace(graph, ops=ops)


def _along_the_text(shape: tuple[int | str, ...] | None) -> bool:
    return shape is not None and shape[-1] == SEQUENCE and all(isinstance(size, int) for size in shape[:-1])


def without_dead_code(graph: DecoderGraph) -> DecoderGraph:
    """Only what the output depends on."""
    live = {graph.output}
    kept: list[Op] = []
    for op in reversed(graph.ops):
        if op.name in live:
            kept.append(op)
            live.update(references(op))
    return DecoderGraph(
        tuple(reversed(kept)),
        {name: shape for name, shape in graph.parameters.items() if name in live},
        {name: value for name, value in graph.constants.items() if name in live},
        graph.output,
    )


def without_no_ops(graph: DecoderGraph) -> DecoderGraph:
    """Readers of an operation without effect read its operand instead."""
    same: dict[str, str] = {}
    kept: list[Op] = []
    for op in graph.ops:
        op = _rename(op, lambda name: same.get(name, name))
        source = op.args[0].name if op.args and isinstance(op.args[0], Ref) else None
        if source is not None and (
            op.target in _NO_OPS or _casts_to_same(graph, op, source) or _views_as_is(graph, op, source)
        ):
            same[op.name] = source
        else:
            kept.append(op)
    output = same.get(graph.output, graph.output)
    return replace(graph, ops=tuple(kept), output=output)


def _casts_to_same(graph: DecoderGraph, op: Op, source: str) -> bool:
    if op.target not in ("aten.to", "aten._to_copy"):
        return False
    before = graph.by_name.get(source)
    # Parameters and lifted buffers are float32 in every capture.
    given = "int64" if source in _INPUT_SHAPES else "float32"
    return op.dtype == (before.dtype if before is not None else given)


def _views_as_is(graph: DecoderGraph, op: Op, source: str) -> bool:
    if op.target not in ("aten.view", "aten.reshape"):
        return False
    before = graph.by_name.get(source)
    return op.shape == (before.shape if before is not None else _INPUT_SHAPES.get(source))


def _conv1d_to_linear(graph: DecoderGraph) -> DecoderGraph:
    """``view(addmm(bias, view(x, [S, K]), W), [1, S, N])`` is a linear whose weight is stored [in, out]."""
    users = graph.users()
    kept: list[Op] = []
    for op in graph.ops:
        product = _source(graph, op, 0) if op.target == "aten.view" else None
        flat = _source(graph, product, 1) if product is not None and product.target == "aten.addmm" else None
        if product is None or flat is None or flat.target != "aten.view" or len(users[product.name]) != 1:
            kept.append(op)
            continue
        bias, _, weight = product.args[:3]
        linear = replace(
            op, target="aten.linear", args=(flat.args[0], weight, bias), kwargs={"transposed": True}
        )
        kept.append(linear)
    return replace(graph, ops=tuple(kept))


def _source(graph: DecoderGraph, op: Op, index: int) -> Op | None:
    operand = op.args[index]
    return graph.by_name.get(operand.name) if isinstance(operand, Ref) else None


def _rename(op: Op, rename: Callable[[str], str]) -> Op:
    def visit(value: Any) -> Any:
        if isinstance(value, Ref):
            return Ref(rename(value.name))
        if isinstance(value, tuple):
            return tuple(visit(item) for item in value)
        return value

    return replace(op, args=visit(op.args), kwargs={key: visit(value) for key, value in op.kwargs.items()})
