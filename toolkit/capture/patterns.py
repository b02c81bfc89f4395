"""Questions about a captured graph that every lowering asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from toolkit.capture.graph import DecoderGraph, Op, Ref, references
from toolkit.compress.fitting import Columns
from toolkit.compress.parameters import Matrix
from toolkit.compress.plan import Role
from toolkit.errors import UnsupportedModel


def resolve(graph: DecoderGraph, ref: Any) -> Op | None:
    """The operation behind a reference; None for inputs, parameters and constants."""
    return graph.by_name.get(ref.name) if isinstance(ref, Ref) else None


def ancestors(graph: DecoderGraph, ref: Ref, *, until: tuple[str, ...]) -> Iterator[Op]:
    """Operations that an operand depends on, nearest first, ``until`` included but not passed."""
    waiting, seen = [ref.name], set()
    while waiting:
        name = waiting.pop(0)
        op = graph.by_name.get(name)
        if op is None or name in seen:
            continue
        seen.add(name)
        yield op
        if op.target not in until:
            waiting += references(op)


def routers(graph: DecoderGraph) -> list[str]:
    """Matrices that decide which experts a token gets, and with which weights."""
    found: dict[str, None] = {}
    for op in graph.ops:
        if op.target != "slm.experts":
            continue
        for ref in op.args[1:3]:
            for source in ancestors(graph, ref, until=("aten.linear", "slm.experts", "slm.attention")):
                if source.target == "aten.linear" and source.args[1].name in graph.parameters:
                    found[source.args[1].name] = None
    return list(found)


def shape_of(graph: DecoderGraph, ref: Ref) -> tuple[int | str, ...]:
    """Shape of an operand that is one tensor."""
    if ref.name in graph.by_name:
        shape = graph.by_name[ref.name].shape
        assert shape is not None, f"{ref.name} is one tensor"
        return shape
    if ref.name in graph.parameters:
        return graph.parameters[ref.name]
    return graph.constants[ref.name][0]


def layer_of(op: Op) -> tuple[str, int] | None:
    """The list of layers that an operation lies in, and its number there."""
    parts = op.module.split(".")
    for position, part in enumerate(parts):
        if part.isdigit():
            return ".".join(parts[:position]), int(part)
    return None


def is_head(graph: DecoderGraph, tied: Mapping[str, str], op: Op) -> bool:
    """Whether a linear is the output projection: the last one before the logits, whatever scales them."""
    last = last_linear(graph)
    return last is not None and op.name == last.name


def last_linear(graph: DecoderGraph) -> Op | None:
    """The output projection; None in a graph that has none."""
    before = ancestors(graph, Ref(graph.output), until=("aten.linear",))
    return next((op for op in before if op.target == "aten.linear"), None)


def linear_matrix(graph: DecoderGraph, tied: Mapping[str, str], op: Op) -> Matrix:
    """The weight of a linear."""
    name = op.args[1].name
    if name not in graph.parameters:
        raise UnsupportedModel(f"the matrix of {op} is computed from the text, not a parameter")
    role: Role = "lm_head" if is_head(graph, tied, op) else "linear"
    return Matrix(tied.get(name, name), role, bool(op.kwargs.get("transposed")))


def matrix_columns(graph: DecoderGraph, tied: Mapping[str, str]) -> list[Columns]:
    """The widths of all matrices, in each of their roles."""
    found = []
    for op in graph.ops:
        if op.target == "aten.linear":
            matrix = linear_matrix(graph, tied, op)
            shape = graph.parameters[op.args[1].name]
            found.append(Columns(matrix.name, matrix.role, shape[0] if matrix.transposed else shape[-1]))
        elif op.target == "slm.experts":
            transposed = op.args[10]
            found += [
                Columns(ref.name, "linear", graph.parameters[ref.name][1 if transposed else 2])
                for ref in op.args[3:5]
            ]
        elif op.target == "aten.embedding" and op.args[1] == Ref("input_ids"):
            name = op.args[0].name
            found.append(Columns(tied.get(name, name), "embedding", int(shape_of(graph, op.args[0])[-1])))
    return found


def linear_bias(op: Op) -> Ref | None:
    """The bias of a linear."""
    bias = op.args[2] if len(op.args) > 2 else op.kwargs.get("bias")
    return bias if isinstance(bias, Ref) else None


def rope_table(graph: DecoderGraph, cos: Ref) -> Op | None:
    """The slm.rope_table that a rotary embedding's cosines are looked up in."""
    item = resolve(graph, cos)
    table = resolve(graph, item.args[0]) if item is not None and item.target == "getitem" else None
    return table if table is not None and table.target == "slm.rope_table" else None


def split_widths(op: Op, total: int) -> list[int]:
    """Widths that aten.split (by size) or aten.chunk (by count) cuts ``total`` columns into."""
    if op.target == "aten.split" and isinstance(op.args[1], tuple):
        return [int(width) for width in op.args[1]]
    size = int(op.args[1]) if op.target == "aten.split" else -(-total // int(op.args[1]))
    return [min(size, total - start) for start in range(0, total, size)]


def entries_looked_up(graph: DecoderGraph, op: Op) -> tuple[Ref, Ref]:
    """The list of numbers that an ``aten.index`` reads, and the places of those that it wants."""
    source, indices = op.args[:2]
    if len(shape_of(graph, source)) != 1 or len(indices) != 1:
        raise UnsupportedModel(f"{op} looks up something other than entries of a list")
    return source, indices[0]


def layer_norm_epsilon(op: Op) -> float:
    """Epsilon of an aten.layer_norm."""
    return float(op.args[4]) if len(op.args) > 4 else 1e-5


def limits(op: Op) -> tuple[Any, Any]:
    """Lower and upper bound of a clamp; None for none."""
    if op.target == "aten.relu6":
        return 0.0, 6.0
    names = {"aten.clamp_min": ("min",), "aten.clamp_max": ("max",)}.get(op.target, ("min", "max"))
    given = dict(zip(names, op.args[1:], strict=False)) | op.kwargs
    defaults = (-1.0, 1.0) if op.target == "aten.hardtanh" else (None, None)
    return given.get("min", defaults[0]), given.get("max", defaults[1])
