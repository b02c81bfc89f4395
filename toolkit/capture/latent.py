"""Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434) over what it compresses keys and values to.

Models expand each token's compressed row to keys and values of every head. Products with the expanding matrix
can as well be done with queries and results, once for the call's tokens instead of once for every token seen:
``q (W c) = (q W) c``. What is left is attention with a single key for all heads, the compressed row beside
the rotated key that heads share, whose values are the key's first columns: one row for each token is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.capture.patterns import linear_bias, resolve, shape_of, split_widths
from toolkit.capture.simplify import without_no_ops

LATENT = "latent"
"""Named operand of an ``slm.attention`` over compressed rows: their width, and a head's keys' and values'."""
# Engines' attention kernels take heads of a multiple of so many numbers.
_HEAD_MULTIPLE = 8


@dataclass(frozen=True)
class _Compressed:
    """What an attention's keys and values are expanded from.

    Attributes:
        rows: compressed, [.., S, latent_dim].
        rotated: key that all heads share, [1, 1, S, rotary_dim].
        matrix: parameter [heads * (key_dim + value_dim), latent_dim] that expands rows.
        heads, latent_dim, key_dim, rotary_dim, value_dim: sizes; ``key_dim`` without the rotated part.
    """

    rows: Ref
    rotated: Ref
    matrix: Ref
    heads: int
    latent_dim: int
    key_dim: int
    rotary_dim: int
    value_dim: int


def keep_latents(graph: DecoderGraph) -> DecoderGraph:
    """Every attention whose keys and values are expanded from compressed rows attends to these rows."""
    users = graph.users()
    ops: list[Op] = []
    cut: set[str] = set()
    for op in graph.ops:
        found = _compressed(graph, users, op) if op.target == "slm.attention" else None
        if found is not None:
            padded = op.shape is not None and op.shape[-1] != found.value_dim
            cut |= {user.name for user in users.get(op.name, ()) if padded}
            ops += _Operations(graph, op, found).all()
        elif op.name in cut:
            # It took off what values were padded with.
            ops.append(replace(op, target="aten.alias", args=op.args[:1], kwargs={}))
        else:
            ops.append(op)
    return without_no_ops(replace(graph, ops=tuple(ops)))


def expanding_matrices(graph: DecoderGraph) -> tuple[str, ...]:
    """Parameters whose products with queries and results stand for expanded rows; float32 on every engine."""
    found: dict[str, None] = {}
    for op in graph.ops:
        if op.target == "slm.attention" and LATENT in op.kwargs:
            query = graph.by_name[op.args[0].name]
            name = graph.by_name[query.args[0][0].name].args[1].name
            while name in graph.by_name:
                name = graph.by_name[name].args[0].name
            found[name] = None
    return tuple(found)


def _compressed(graph: DecoderGraph, users: Mapping[str, list[Op]], op: Op) -> _Compressed | None:
    """What an attention reads, if that is keys and values of a form that is known."""
    key, value = (_unpadded(graph, ref) for ref in op.args[1:3])
    joined = resolve(graph, key)
    if joined is None or joined.target != "aten.cat" or len(joined.args[0]) != 2:
        return None
    plain, shared = joined.args[0]
    expanded = resolve(graph, shared)
    if expanded is None or expanded.target != "aten.expand":
        return None
    key_columns, value_columns = _columns(graph, plain), _columns(graph, value)
    if key_columns is None or value_columns is None or key_columns[0] != value_columns[0]:
        return None
    (source, start, middle), (_, after, end) = key_columns, value_columns
    linear = _projection(graph, source)
    if linear is None:
        return None
    rotated = expanded.args[0]
    _, heads, _, width = shape_of(graph, source)
    _, shared_heads, _, rotary_dim = shape_of(graph, rotated)
    latent_dim = graph.parameters[linear.args[1].name][1]
    whole = (start, after, end) == (0, middle, width)
    cut_off = op.shape is not None and (
        op.shape[-1] == end - after
        or all(
            user.target == "aten.slice" and user.args[1:4] == (3, 0, end - after) for user in users[op.name]
        )
    )
    row = latent_dim + int(rotary_dim)
    expanded_row = int(heads) * (int(width) + int(rotary_dim))
    if not whole or shared_heads != 1 or not cut_off or row % _HEAD_MULTIPLE or row >= expanded_row:
        return None
    return _Compressed(
        rows=linear.args[0],
        rotated=rotated,
        matrix=linear.args[1],
        heads=int(heads),
        latent_dim=latent_dim,
        key_dim=middle,
        rotary_dim=int(rotary_dim),
        value_dim=end - after,
    )


def _projection(graph: DecoderGraph, source: Ref) -> Op | None:
    """The linear of which [1, H, S, D] is a view by heads."""
    op = resolve(graph, source)
    if op is None or op.target != "aten.transpose" or {int(dim) % 4 for dim in op.args[1:3]} != {1, 2}:
        return None
    view = resolve(graph, op.args[0])
    linear = resolve(graph, view.args[0]) if view is not None and view.target == "aten.view" else None
    if linear is None or linear.target != "aten.linear" or linear.kwargs.get("transposed"):
        return None
    if linear_bias(linear) is not None or linear.args[1].name not in graph.parameters:
        return None
    return linear


def _unpadded(graph: DecoderGraph, ref: Ref) -> Ref:
    op = resolve(graph, ref)
    return op.args[0] if op is not None and op.target == "slm.pad" else ref


def _columns(graph: DecoderGraph, ref: Ref) -> tuple[Ref, int, int] | None:
    """The columns ``start:stop`` of what a value is cut out of."""
    op = resolve(graph, ref)
    if op is None or op.shape is None:
        return None
    if op.target == "aten.slice" and int(op.args[1]) % len(op.shape) == len(op.shape) - 1:
        start = int(op.args[2])
        return op.args[0], start, start + int(op.shape[-1])
    split = resolve(graph, op.args[0]) if op.target == "getitem" else None
    if split is None or split.target not in ("aten.split", "aten.chunk"):
        return None
    widths = split_widths(split, int(shape_of(graph, split.args[0])[-1]))
    start = sum(widths[: op.args[1]])
    return split.args[0], start, start + widths[op.args[1]]


class _Operations:
    """What takes an attention's place."""

    def __init__(self, graph: DecoderGraph, op: Op, found: _Compressed) -> None:
        self._graph = graph
        self._op = op
        self._found = found
        self._ops: list[Op] = []

    def all(self) -> list[Op]:
        """Operations in order; the last one has the attention's name."""
        found, op = self._found, self._op
        heads, latent, rotary = found.heads, found.latent_dim, found.rotary_dim
        keys, values = found.key_dim, found.value_dim
        width = latent + rotary
        each = self._add(
            "aten.view", (found.matrix, (1, heads, keys + values, latent)), (1, heads, keys + values, latent)
        )
        to_keys = self._add("aten.slice", (each, 2, 0, keys), (1, heads, keys, latent))
        to_values = self._add("aten.slice", (each, 2, keys, keys + values), (1, heads, values, latent))
        to_values = self._add("aten.transpose", (to_values, 2, 3), (1, heads, latent, values))
        plain, turned = self._query_parts()
        plain = self._add("aten.matmul", (plain, to_keys), (1, heads, SEQUENCE, latent))
        query = self._add("aten.cat", ((plain, turned), 3), (1, heads, SEQUENCE, width))
        rows = self._add("aten.view", (found.rows, (1, 1, SEQUENCE, latent)), (1, 1, SEQUENCE, latent))
        row = self._add("aten.cat", ((rows, found.rotated), 3), (1, 1, SEQUENCE, width))
        attended = self._add(
            "slm.attention",
            (query, row, row, *op.args[3:]),
            (1, SEQUENCE, heads, width),
            **op.kwargs,
            **{LATENT: (latent, keys, values)},
        )
        attended = self._add("aten.slice", (attended, 3, 0, latent), (1, SEQUENCE, heads, latent))
        attended = self._add("aten.transpose", (attended, 1, 2), (1, heads, SEQUENCE, latent))
        result = self._add("aten.matmul", (attended, to_values), (1, heads, SEQUENCE, values))
        self._add("aten.transpose", (result, 1, 2), (1, SEQUENCE, heads, values))
        self._ops[-1] = replace(self._ops[-1], name=op.name)
        return self._ops

    def _query_parts(self) -> tuple[Ref, Ref]:
        """The columns of queries that meet expanded keys, and those that meet the rotated one."""
        found, query = self._found, _unpadded(self._graph, self._op.args[0])
        keys, width = found.key_dim, found.key_dim + found.rotary_dim
        joined = resolve(self._graph, query)
        if joined is not None and joined.target == "aten.cat" and len(joined.args[0]) == 2:
            plain, turned = joined.args[0]
            if shape_of(self._graph, plain)[-1] == keys and shape_of(self._graph, turned)[-1] == width - keys:
                return plain, turned
        shape = (1, found.heads, SEQUENCE)
        plain = self._add("aten.slice", (query, 3, 0, keys), (*shape, keys))
        return plain, self._add("aten.slice", (query, 3, keys, width), (*shape, width - keys))

    def _add(self, target: str, args: tuple[Any, ...], shape: tuple[int | str, ...], **kwargs: Any) -> Ref:
        name = f"{self._op.name}.latent.{len(self._ops)}"
        self._ops.append(Op(name, target, args, kwargs, shape, "float32", self._op.module))
        return Ref(name)
