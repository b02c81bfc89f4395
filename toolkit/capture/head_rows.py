"""Heads of all tokens in one dimension, told apart again.

Some models view [1, S, 4, D] as [4 S, D] for what they do to each row alone, and back afterwards. In a
captured graph the text is a dimension of its own.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op

_ROWS = re.compile(r"\?(\d+)\*s\d+")
_VIEWS = ("aten.view", "aten.reshape", "aten._unsafe_view")
_OVER_DIMENSIONS = ("aten.mean", "aten.sum", "aten.softmax", "aten._softmax")
_ARITHMETIC = "add sub mul div neg pow square sqrt rsqrt sigmoid silu gelu relu tanh exp to _to_copy clone"
_ROW_WISE = (
    *_VIEWS,
    *_OVER_DIMENSIONS,
    *(f"aten.{name}" for name in _ARITHMETIC.split()),
    *("slm.rms_norm", "aten.linear", "aten.contiguous"),
)


def split_rows(graph: DecoderGraph) -> DecoderGraph:
    """Results of size [N S, ...] become [1, S, N, ...]; those of other operations stay as they are."""
    return replace(graph, ops=tuple(_split(op) for op in graph.ops))


def _split(op: Op) -> Op:
    match = _ROWS.fullmatch(str(op.shape[0])) if op.shape else None
    if op.shape is None or match is None or op.target not in _ROW_WISE:
        return op
    shape = (1, SEQUENCE, int(match[1]), *op.shape[1:])
    args, kwargs = op.args, op.kwargs
    if op.target in _VIEWS:
        args = (args[0], shape)
    elif op.target in _OVER_DIMENSIONS:
        keeps = (args[2] if len(args) > 2 else kwargs.get("keepdim", False)) or "softmax" in op.target
        rank = len(op.shape) + (0 if keeps else 1)
        args = (args[0], _from_the_end(args[1], rank), *args[2:])
    return replace(op, args=args, kwargs=kwargs, shape=shape)


def _from_the_end(dims: Any, rank: int) -> Any:
    """The same dimensions of a tensor that has more of them in front."""
    if isinstance(dims, tuple):
        return tuple(_from_the_end(dim, rank) for dim in dims)
    return dims - rank if dims >= 0 else dims
