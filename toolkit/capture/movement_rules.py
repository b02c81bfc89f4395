"""Rewrites of what moves values without computing: views, slices, joins, permutations, expansions."""

from __future__ import annotations

from toolkit.capture.graph import SEQUENCE, Op, Ref
from toolkit.capture.rewriting import Rewriting, Rule, Shape
from toolkit.errors import UnsupportedModel

# Joining more pieces than this is a gather in disguise.
_MAXIMUM_PIECES = 32


def _as_view(do: Rewriting) -> Op | None:
    return do.view(do.op.args[0], do.shape)


def _select(do: Rewriting) -> Op | None:
    source = do.op.args[0]
    shape = do.shape_of(source)
    dim = int(do.arg(1)) % len(shape)
    if isinstance(shape[dim], str):
        return None
    index = int(do.arg(2)) % int(shape[dim])
    return do.view(Ref(do.slice(source, dim, index, index + 1).name), do.shape)


def _slice(do: Rewriting) -> Op | None:
    source, step = do.op.args[0], int(do.arg(4, 1, "step"))
    before = do.shape_of(source)
    dim = int(do.arg(1, 0, "dim")) % len(before)
    if isinstance(before[dim], str):
        return do.alias(source) if do.shape == before and step == 1 else None
    size = int(before[dim])
    start, stop = do.arg(2, None, "start"), do.arg(3, None, "end")
    if isinstance(start, str) or isinstance(stop, str):
        return None
    start = 0 if start is None else min(int(start) if start >= 0 else int(start) + size, size)
    stop = size if stop is None else min(int(stop) if stop >= 0 else int(stop) + size, size)
    if step == 1:
        if (start, stop) == (0, size):
            return do.alias(source)
        joined = _slice_of_joined(do, source, dim, start, stop, do.shape)
        return joined or do.slice(source, dim, start, stop)
    if size % step or start >= step or stop < size - step + 1 + start:
        raise UnsupportedModel(f"{do.op} takes every {step}th of {size} elements from {start} to {stop}")
    pairs = do.view(source, (*before[:dim], size // step, step, *before[dim + 1 :]))
    return do.view(Ref(do.slice(Ref(pairs.name), dim + 1, start, start + 1).name), do.shape)


def _slice_of_joined(do: Rewriting, source: Ref, dim: int, start: int, stop: int, shape: Shape) -> Op | None:
    """The pieces themselves, where a join is cut at its seams."""
    joined = do.done(source)
    if joined is None or joined.target != "aten.cat" or joined.args[1] != dim:
        return None
    pieces, seams, place = [], {0}, 0
    for ref in joined.args[0]:
        size = int(do.shape_of(ref)[dim])
        if start <= place and place + size <= stop:
            pieces.append(ref)
        place += size
        seams.add(place)
    if not {start, stop} <= seams:
        return None
    if len(pieces) == 1:
        return do.add("aten.alias", (pieces[0],), shape)
    return do.cat(pieces, dim, shape)


def _slice_scatter(do: Rewriting) -> Op | None:
    """A write into columns of a tensor: what is before them, the columns, what is after them."""
    base, written = do.op.args[:2]
    dim = int(do.arg(2, 0, "dim")) % len(do.shape)
    if isinstance(do.shape[dim], str):
        if do.shape_of(written) == do.shape:
            return do.alias(written)
        raise UnsupportedModel(f"{do.op} writes into a part of the text")
    size = int(do.shape[dim])
    start, stop = do.arg(3, None, "start"), do.arg(4, None, "end")
    start = 0 if start is None else min(int(start) % (size + 1), size)
    stop = size if stop is None else min(int(stop) if stop >= 0 else int(stop) + size, size)
    if int(do.arg(5, 1, "step")) != 1:
        raise UnsupportedModel(f"{do.op} writes every other column")
    pieces = []
    for first, last in ((0, start), (start, stop), (stop, size)):
        if first == last:
            continue
        if (first, last) == (start, stop):
            pieces.append(written)
            continue
        shape = (*do.shape[:dim], last - first, *do.shape[dim + 1 :])
        part = _slice_of_joined(do, base, dim, first, last, shape) or do.slice(base, dim, first, last)
        pieces.append(Ref(part.name))
    return do.alias(pieces[0]) if len(pieces) == 1 else do.cat(pieces, dim, do.shape)


def _copy(do: Rewriting) -> Op | None:
    written = do.op.args[1]
    if do.shape_of(written) == do.shape:
        return do.alias(written)
    return do.add("aten.expand", (written, do.shape), do.shape)


def _getitem(do: Rewriting) -> Op | None:
    parent = do.graph.by_name[do.op.args[0].name]
    if parent.target not in ("aten.split", "aten.split_with_sizes", "aten.chunk", "aten.unbind"):
        return None
    source, index = parent.args[0], int(do.op.args[1])
    shape = do.shape_of(source)
    place = 1 if parent.target == "aten.unbind" else 2
    dim = parent.args[place] if len(parent.args) > place else parent.kwargs.get("dim", 0)
    dim = int(dim) % len(shape)
    if shape[dim] == SEQUENCE:
        raise UnsupportedModel(f"{parent} cuts the text")
    if parent.target == "aten.unbind":
        return do.view(Ref(do.slice(source, dim, index, index + 1).name), do.shape)
    if dim == len(shape) - 1:
        return None
    sizes = parent.args[1]
    if isinstance(sizes, tuple):
        start = sum(int(size) for size in sizes[:index])
    else:
        each = int(sizes) if parent.target == "aten.split" else -(-int(shape[dim]) // int(sizes))
        start = index * each
    return do.slice(source, dim, start, start + int(do.shape[dim]))


def _split_with_sizes(do: Rewriting) -> Op | None:
    # The lowerings know the split of the last dimension by this name.
    dim = do.arg(2, 0, "dim")
    return do.add("aten.split", (*do.op.args[:2], dim), None)  # type: ignore[arg-type]


def _stack(do: Rewriting) -> Op | None:
    dim = int(do.arg(1, 0, "dim")) % len(do.shape)
    shape = (*do.shape[:dim], 1, *do.shape[dim + 1 :])
    pieces = [Ref(do.view(ref, shape).name) for ref in do.op.args[0]]
    return do.cat(pieces, dim, do.shape)


def _concatenate(do: Rewriting) -> Op | None:
    return do.add("aten.cat", (do.op.args[0], int(do.arg(1, 0, "dim")) % len(do.shape)), do.shape)


def _without_empty(do: Rewriting) -> Op | None:
    """Joined with nothing, as where a rotary embedding turns all columns and the rest has none."""
    refs = tuple(ref for ref in do.op.args[0] if 0 not in do.shape_of(ref))
    if len(refs) == len(do.op.args[0]) or not refs:
        return None
    if len(refs) == 1:
        return do.alias(refs[0])
    return do.add("aten.cat", (refs, *do.op.args[1:]), do.shape)


def _permute(do: Rewriting) -> Op | None:
    rank = len(do.shape)
    order = [int(dim) % rank for dim in do.op.args[1]]
    moved = [dim for dim in range(rank) if order[dim] != dim]
    if not moved:
        return do.alias(do.op.args[0])
    if len(moved) == 2:
        return do.add("aten.transpose", (do.op.args[0], *moved), do.shape)
    return do.add("aten.permute", (do.op.args[0], tuple(order)), do.shape)


def _turned_matrix(do: Rewriting) -> Op | None:
    return do.add("aten.transpose", (do.op.args[0], 0, 1), do.shape) if len(do.shape) == 2 else None


def _expand(do: Rewriting) -> Op | None:
    source = do.op.args[0]
    if do.shape_of(source) == do.shape:
        return do.alias(source)
    return do.add("aten.expand", (source, do.shape), do.shape)


def _repeat(do: Rewriting) -> Op | None:
    source, counts = do.op.args[0], [int(count) for count in do.op.args[1]]
    shape = do.shape_of(source)
    shape = (1,) * (len(counts) - len(shape)) + shape
    if shape == do.shape:
        return do.view(source, do.shape)
    current = Ref(do.view(source, shape).name)
    for dim, count in enumerate(counts):
        before = do.shape_of(current)
        if count > 1 and before[dim] != 1:
            joined = (*before[:dim], int(before[dim]) * count, *before[dim + 1 :])
            current = Ref(do.cat([current] * count, dim, joined).name)
    if do.shape_of(current) == do.shape:
        return do.view(current, do.shape)
    return do.add("aten.expand", (current, do.shape), do.shape)


def _repeat_interleave(do: Rewriting) -> Op | None:
    source, count = do.op.args[0], do.arg(1, None, "repeats")
    dim = do.arg(2, None, "dim")
    if not isinstance(count, int) or dim is None:
        return None
    shape = do.shape_of(source)
    dim = int(dim) % len(shape)
    single = do.view(source, (*shape[: dim + 1], 1, *shape[dim + 1 :]))
    wide = (*shape[: dim + 1], count, *shape[dim + 1 :])
    return do.view(Ref(do.add("aten.expand", (Ref(single.name), wide), wide).name), do.shape)


def _index(do: Rewriting) -> Op | None:
    """``x[:, [3, 1]]`` with numbers known ahead, or rows of a table."""
    source, indices = do.op.args[:2]
    given = [(dim, ref) for dim, ref in enumerate(indices) if ref is not None]
    if len(given) != 1:
        return None
    [(dim, ref)] = given
    is_table = source.name in do.graph.parameters and len(do.shape_of(source)) == 2
    if is_table and dim == 0 and do.shape_of(ref) == (1, SEQUENCE):
        return do.add("aten.embedding", (source, ref), do.shape)
    if ref.name not in do.graph.constants:
        return None
    shape, numbers = do.graph.constants[ref.name]
    before = do.shape_of(source)
    if len(shape) > 1 or len(numbers) > _MAXIMUM_PIECES or before[dim] == SEQUENCE:
        return None
    places = [int(number) % int(before[dim]) for number in numbers]
    pieces = [Ref(do.slice(source, dim, place, place + 1).name) for place in places]
    if len(pieces) == 1:
        return do.view(pieces[0], do.shape)
    return do.cat(pieces, dim, (*before[:dim], len(pieces), *before[dim + 1 :]))


def _same(do: Rewriting) -> Op | None:
    return do.alias(do.op.args[0])


_RESHAPES = (
    "aten.unsqueeze",
    "aten.squeeze",
    "aten.flatten",
    "aten.unflatten",
    "aten._unsafe_view",
    "aten.view_as",
    "aten.reshape_as",
)
MOVES: dict[str, Rule] = {
    **dict.fromkeys(_RESHAPES, _as_view),
    **dict.fromkeys(("aten.concat", "aten.concatenate"), _concatenate),
    "aten.cat": _without_empty,
    "aten.select": _select,
    "aten.slice": _slice,
    "aten.slice_scatter": _slice_scatter,
    "aten.copy": _copy,
    "getitem": _getitem,
    "aten.split_with_sizes": _split_with_sizes,
    "aten.stack": _stack,
    "aten.permute": _permute,
    **dict.fromkeys(("aten.numpy_T", "aten.t"), _turned_matrix),
    **dict.fromkeys(("aten.expand", "aten.expand_as", "aten.broadcast_to"), _expand),
    "aten.repeat": _repeat,
    "aten.repeat_interleave": _repeat_interleave,
    "aten.index": _index,
    "aten.type_as": _same,
}
