"""Lowerings of operators that move values without computing: views, transposes, cuts, joins."""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np

from toolkit.capture.graph import SEQUENCE, Op
from toolkit.capture.patterns import split_widths
from toolkit.errors import UnsupportedModel
from toolkit.export.executorch.partition import Partition, Result
from toolkit.export.executorch.xnnpack import Shape

_SWAPPED = (0, 2, 1, 3)


def plain(partition: Partition, result: Result) -> Result:
    """A result that lies in memory as the graph sees it."""
    if not result.heads_second:
        return result
    return partition.from_node(partition.delegate().transpose(partition.node(result), _SWAPPED))


def heads_second(partition: Partition, result: Result) -> Result:
    """A result [1, H, S, D] that lies in memory as [1, S, H, D]."""
    if result.heads_second:
        return result
    node = partition.delegate().transpose(partition.node(result), _SWAPPED)
    return partition.from_node(node, heads_second=True)


def beside_heads(partition: Partition, result: Result, rank: int) -> Result:
    """An operand of arithmetic with a result that lies heads second, in the same order."""
    if result.heads_second or len(result.shape) < 2:
        return result
    shape: Shape = (1,) * (rank - len(result.shape)) + result.shape
    if rank != 4:
        raise UnsupportedModel(f"arithmetic between {result.shape} and heads of rank {rank}")
    node = partition.delegate().reshape(partition.node(result), shape)
    swapped = tuple(shape[dim] for dim in _SWAPPED)
    if 1 in shape[1:3]:
        return partition.from_node(partition.delegate().reshape(node, swapped), heads_second=True)
    return partition.from_node(partition.delegate().transpose(node, _SWAPPED), heads_second=True)


def _transpose(partition: Partition, op: Op) -> Result:
    source = partition.result(op.args[0])
    rank = len(source.shape)
    dims = {int(dim) % rank for dim in op.args[1:3]}
    if rank == 4 and dims == {1, 2}:
        return Result(source.shape, not source.heads_second, source)
    order = list(range(rank))
    first, second = dims
    order[first], order[second] = second, first
    node = partition.node(plain(partition, source))
    return partition.from_node(partition.delegate().transpose(node, order))


def _permute(partition: Partition, op: Op) -> Result:
    node = partition.node(plain(partition, partition.result(op.args[0])))
    return partition.from_node(partition.delegate().transpose(node, [int(dim) for dim in op.args[1]]))


def _view(partition: Partition, op: Op) -> Result:
    source = partition.result(op.args[0])
    assert op.shape is not None, "a view yields one tensor"
    if op.shape.count(SEQUENCE) > 1:
        raise UnsupportedModel(f"{op} reshapes {source.shape} to {op.shape}")
    if source.shape == op.shape and not source.heads_second:
        return source
    node = partition.node(plain(partition, source))
    if op.shape[:3] == (1, 1, SEQUENCE) and len(op.shape) == 4:
        # A single head: what follows needs no transpose, which only XNNPACK has.
        node = partition.delegate().reshape(node, (1, SEQUENCE, 1, op.shape[3]))
        return partition.from_node(node, heads_second=True)
    return partition.from_node(partition.delegate().reshape(node, op.shape))


def _split(partition: Partition, op: Op) -> Result:
    """The whole; its parts are cut where they are read."""
    return partition.result(op.args[0])


def _getitem(partition: Partition, op: Op) -> Result | None:
    parent = partition.graph.by_name[op.args[0].name]
    if parent.target == "slm.rope_table":
        # The rotation looks its table up itself.
        return None
    source = partition.result(op.args[0])
    last = len(source.shape) - 1
    ends = accumulate(split_widths(parent, int(source.shape[-1])), initial=0)
    return _cut(partition, source, last, *list(pairwise(ends))[op.args[1]])


def _slice(partition: Partition, op: Op) -> Result:
    source = partition.result(op.args[0])
    dim, start, stop = (int(number) for number in op.args[1:4])
    return _cut(partition, source, dim, start, stop)


def _cut(partition: Partition, source: Result, dim: int, start: int, stop: int) -> Result:
    """Elements ``start:stop`` of a dimension that is not the text's."""
    place = _SWAPPED[dim] if source.heads_second else dim
    node = partition.delegate().cut(partition.node(source), place, start, stop)
    return partition.from_node(node, heads_second=source.heads_second)


def _cat(partition: Partition, op: Op) -> Result:
    sources = [partition.result(ref) for ref in op.args[0]]
    rank = len(sources[0].shape)
    dim = (int(op.args[1]) if len(op.args) > 1 else 0) % rank
    swapped = all(source.heads_second for source in sources)
    if not swapped:
        sources = [plain(partition, source) for source in sources]
    axis = _SWAPPED[dim] if swapped else dim
    first, *rest = (partition.node(source) for source in sources)
    if first.shape[axis] == SEQUENCE:
        raise UnsupportedModel(f"{op} joins texts")
    for node in rest:
        first = partition.delegate().concatenate(first, node, axis)
    return partition.from_node(first, heads_second=swapped)


def _expand(partition: Partition, op: Op) -> Result:
    assert op.shape is not None, "an expansion yields one tensor"
    node = partition.node(plain(partition, partition.result(op.args[0])))
    graph = partition.delegate()
    node = graph.reshape(node, (1,) * (len(op.shape) - len(node.shape)) + node.shape)
    zeros = np.zeros([1 if size == SEQUENCE else int(size) for size in op.shape], np.float32)
    return partition.from_node(graph.binary("Add", node, graph.constant(zeros)))


def _pad(partition: Partition, op: Op) -> Result:
    source, widths, value = op.args
    node = partition.node(plain(partition, partition.result(source)))
    rank, given = len(node.shape), len(widths) // 2
    before, after = ([0] * (rank - given) + list(widths[side::2])[::-1] for side in (0, 1))
    return partition.from_node(partition.delegate().pad(node, before, after, value))


EMITTERS = {
    "aten.transpose": _transpose,
    "aten.permute": _permute,
    "aten.view": _view,
    "aten.reshape": _view,
    "aten.split": _split,
    "aten.chunk": _split,
    "getitem": _getitem,
    "aten.slice": _slice,
    "aten.cat": _cat,
    "aten.expand": _expand,
    "slm.pad": _pad,
}
