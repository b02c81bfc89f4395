"""Follow an attention operand back through the views, norms and rotations that the engine fuses.

transformers shapes queries, keys and values as linear -> view -> transpose, with a per-head norm before
or after the transpose and a rotary embedding last. GroupQueryAttention takes the linear's flat output
and does the rest itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from toolkit.capture.graph import DecoderGraph, Op, Ref
from toolkit.capture.patterns import resolve, rope_table, split_widths


@dataclass(frozen=True)
class HeadStates:
    """Where an attention operand comes from.

    Attributes:
        source: value [1, S, heads * head_dim] that the operand is a view of.
        norm: the slm.rms_norm over head_dim on the way, if any.
        table: the slm.rope_table whose rotation is applied last, if any.
        rotary_dim: dimensions of each head that turn; 0 without rotation.
    """

    source: Ref
    norm: Op | None = None
    table: Op | None = None
    rotary_dim: int = 0


@dataclass(frozen=True)
class Columns:
    """Columns ``start:stop`` of the last dimension of ``source``."""

    source: Ref
    start: int
    stop: int


def follow_heads(graph: DecoderGraph, operand: Ref) -> HeadStates | None:
    """Peel an operand [1, H, S, D] of slm.attention; None when its shape has another history."""
    found = HeadStates(operand)
    op = resolve(graph, operand)
    rotation = _rotation(graph, op)
    if rotation is not None:
        states, table = rotation
        dim = int(table.args[2])
        found, op = replace(found, table=table, rotary_dim=dim), resolve(graph, states)
    if op is not None and op.target == "slm.rms_norm":
        found, op = replace(found, norm=op), resolve(graph, op.args[0])
    if op is None or op.target != "aten.transpose" or tuple(op.args[1:]) not in ((1, 2), (2, 1)):
        return None
    op = resolve(graph, op.args[0])
    if op is not None and op.target == "slm.rms_norm" and found.norm is None:
        found, op = replace(found, norm=op), resolve(graph, op.args[0])
    if op is None or op.target not in ("aten.view", "aten.reshape"):
        return None
    before = graph.by_name.get(op.args[0].name)
    if before is None or before.shape is None or len(before.shape) != 3:
        return None
    return replace(found, source=op.args[0])


def _rotation(graph: DecoderGraph, op: Op | None) -> tuple[Ref, Op] | None:
    """(states, rope table) of a full or partial rotation; partial ones are put together with cat."""
    if op is None:
        return None
    if op.target == "slm.rotary":
        states, cos = op.args[0], op.args[1]
        table = rope_table(graph, cos)
        return (states, table) if table else None
    if op.target == "aten.cat" and len(op.args[0]) == 2:
        turned, rest = (resolve(graph, ref) for ref in op.args[0])
        if turned is None or rest is None or turned.target != "slm.rotary" or rest.target != "aten.slice":
            return None
        head = resolve(graph, turned.args[0])
        table = rope_table(graph, turned.args[1])
        if head is None or table is None or head.target != "aten.slice" or head.args[0] != rest.args[0]:
            return None
        return head.args[0], table
    return None


def follow_columns(graph: DecoderGraph, ref: Ref) -> Columns:
    """The contiguous last-dimension columns that a value is, through slice, split and chunk."""
    op = resolve(graph, ref)
    if op is not None and op.target == "aten.slice" and is_last(op, op.args[1]):
        inner = follow_columns(graph, op.args[0])
        start = int(op.args[2] or 0)
        width = inner.stop - inner.start
        stop = min(int(op.args[3]) if len(op.args) > 3 else width, width)
        return Columns(inner.source, inner.start + start, inner.start + stop)
    if op is not None and op.target == "getitem":
        parent = resolve(graph, op.args[0])
        if parent is not None and parent.target in ("aten.split", "aten.chunk"):
            inner = follow_columns(graph, parent.args[0])
            widths = split_widths(parent, inner.stop - inner.start)
            start = inner.start + sum(widths[: op.args[1]])
            return Columns(inner.source, start, start + widths[op.args[1]])
    source = Ref(op.name) if op is not None else ref
    shape = graph.by_name[source.name].shape if source.name in graph.by_name else None
    return Columns(source, 0, int(shape[-1]) if shape else 0)


def is_last(op: Op, dim: int) -> bool:
    """Whether a dimension of a result is its last one."""
    return dim == -1 or (op.shape is not None and dim == len(op.shape) - 1)
