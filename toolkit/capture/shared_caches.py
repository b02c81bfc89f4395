"""Attentions that read another layer's keys and values (Gemma 3n, Gemma 4), which are kept once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from toolkit.capture.graph import DecoderGraph, Op, Ref

CACHE_OF = "cache_of"
"""Named operand of an ``slm.attention``: the number of the attention whose cache it reads, as it is."""


def share_caches(graph: DecoderGraph) -> DecoderGraph:
    """An attention over the very keys and values of an earlier one says so."""
    owners: dict[tuple[Any, Any], Op] = {}
    ops: list[Op] = []
    for op in graph.ops:
        if op.target == "slm.attention":
            identity = _identity(graph, op.args[1]), _identity(graph, op.args[2])
            owner = owners.setdefault(identity, op)
            if owner is not op:
                args = (op.args[0], *owner.args[1:3], *op.args[3:])
                op = replace(op, args=args, kwargs={**op.kwargs, CACHE_OF: owner.args[3]})
        ops.append(op)
    return replace(graph, ops=tuple(ops))


def cache_of(op: Op) -> int | None:
    """The number of the attention whose keys and values an attention reads; None if it keeps its own."""
    owner = op.kwargs.get(CACHE_OF)
    return None if owner is None else int(owner)


def _identity(graph: DecoderGraph, ref: Ref) -> Any:
    """Equal for the same values, also where each reader has padded them by itself."""
    op = graph.by_name.get(ref.name)
    if op is not None and op.target == "slm.pad":
        return (_identity(graph, op.args[0]), *op.args[1:])
    return ref.name
