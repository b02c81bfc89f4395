"""Lowerings of operators that move values without computing: views, transposes, cuts, joins."""

from __future__ import annotations

from itertools import accumulate, pairwise

from toolkit.capture.graph import SEQUENCE, Op
from toolkit.capture.patterns import split_widths
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.partition import Partition, Result


def _transpose(partition: Partition, op: Op) -> Result:
    source = partition.result(op.args[0])
    rank = len(source.shape)
    if rank != 4 or {int(dim) % rank for dim in op.args[1:3]} != {1, 2}:
        raise UnsupportedModel(f"{op} transposes dimensions {op.args[1:3]} of {source.shape}")
    return Result(source.shape, not source.heads_second, source)


def _view(partition: Partition, op: Op) -> Result:
    source = partition.result(op.args[0])
    assert op.shape is not None, "a view yields one tensor"
    if source.heads_second or SEQUENCE not in op.shape:
        raise UnsupportedModel(f"{op} reshapes {source.shape} to {op.shape}")
    if source.shape == op.shape:
        return source
    node = partition.node(source)
    return partition.from_node(partition.delegate().reshape(node, op.shape))


def _split(partition: Partition, op: Op) -> Result:
    """The whole; its parts are cut where they are read."""
    source = partition.result(op.args[0])
    dim = int(op.args[2]) if len(op.args) > 2 else 0
    if source.heads_second or dim % len(source.shape) != len(source.shape) - 1:
        raise UnsupportedModel(f"{op} does not cut the last dimension")
    return source


def _getitem(partition: Partition, op: Op) -> Result | None:
    parent = partition.graph.by_name[op.args[0].name]
    if parent.target == "slm.rope_table":
        # The rotation looks its table up itself.
        return None
    source = partition.result(op.args[0])
    ends = accumulate(split_widths(parent, int(source.shape[-1])), initial=0)
    return _columns(partition, source, *list(pairwise(ends))[op.args[1]])


def _slice(partition: Partition, op: Op) -> Result:
    source = partition.result(op.args[0])
    rank, width = len(source.shape), int(source.shape[-1])
    if int(op.args[1]) % rank != rank - 1:
        raise UnsupportedModel(f"{op} does not cut the last dimension")
    start = int(op.args[2] or 0) if len(op.args) > 2 else 0
    stop = min(int(op.args[3]), width) if len(op.args) > 3 and op.args[3] is not None else width
    return _columns(partition, source, start % width, stop if stop >= 0 else stop + width)


def _columns(partition: Partition, source: Result, start: int, stop: int) -> Result:
    """Columns of the last dimension."""
    node = partition.delegate().columns(partition.node(source), start, stop)
    return partition.from_node(node, heads_second=source.heads_second)


def _cat(partition: Partition, op: Op) -> Result:
    sources = [partition.result(ref) for ref in op.args[0]]
    rank = len(sources[0].shape)
    dim = int(op.args[1]) if len(op.args) > 1 else 0
    if dim % rank != rank - 1 or len({source.heads_second for source in sources}) > 1:
        raise UnsupportedModel(f"{op} does not join the last dimension")
    first, *rest = (partition.node(source) for source in sources)
    for node in rest:
        first = partition.delegate().concatenate(first, node)
    return partition.from_node(first, heads_second=sources[0].heads_second)


EMITTERS = {
    "aten.transpose": _transpose,
    "aten.view": _view,
    "aten.reshape": _view,
    "aten.split": _split,
    "aten.chunk": _split,
    "getitem": _getitem,
    "aten.slice": _slice,
    "aten.cat": _cat,
}
