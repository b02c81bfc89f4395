"""One way of saying each thing: rewrites of a captured graph that leave the lowerings fewer operators.

Whatever moves values without computing becomes a view, transpose, permutation, slice, join or
expansion; arithmetic with a sign, a factor or a small power becomes additions and products. What the engines
fuse as it is (splits of the last dimension, transposes of heads) stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.errors import UnsupportedModel

Shape = tuple[int | str, ...]
# Joining more pieces than this is a gather in disguise.
_MAXIMUM_PIECES = 32


def normalize(graph: DecoderGraph) -> DecoderGraph:
    """Rewrite operation by operation, in order."""
    done: dict[str, Op] = {}
    for op in graph.ops:
        rule = _RULES.get(op.target)
        rewriting = _Rewriting(graph, done, op)
        if rule is None or (result := rule(rewriting)) is None:
            done[op.name] = op
        else:
            done[op.name] = replace(done.pop(result.name), name=op.name)
    return replace(graph, ops=tuple(done.values()))


class _Rewriting:
    """One operation and what takes its place; the last operation added takes its name."""

    def __init__(self, graph: DecoderGraph, done: dict[str, Op], op: Op) -> None:
        self.graph = graph
        self.op = op
        self._done = done

    @property
    def shape(self) -> Shape:
        assert self.op.shape is not None, f"{self.op} yields one tensor"
        return self.op.shape

    def arg(self, index: int, default: Any = None, name: str = "") -> Any:
        if len(self.op.args) > index:
            return self.op.args[index]
        return self.op.kwargs.get(name, default)

    def shape_of(self, ref: Ref) -> Shape:
        """Shape of an operand."""
        if ref.name in self._done:
            shape = self._done[ref.name].shape
        elif ref.name in self.graph.by_name:
            shape = self.graph.by_name[ref.name].shape
        elif ref.name in self.graph.parameters:
            shape = self.graph.parameters[ref.name]
        elif ref.name in self.graph.constants:
            shape = self.graph.constants[ref.name][0]
        else:
            shape = (1, SEQUENCE)
        assert shape is not None, f"{ref.name} is one tensor"
        return shape

    def add(self, target: str, args: tuple[Any, ...], shape: Shape, **kwargs: Any) -> Op:
        """Append an operation."""
        name, count = f"{self.op.name}.1", 1
        while name in self._done:
            count += 1
            name = f"{self.op.name}.{count}"
        op = Op(name, target, args, kwargs, shape, self.op.dtype or "float32", self.op.module)
        self._done[name] = op
        return op

    def view(self, ref: Ref, shape: Shape) -> Op:
        return self.add("aten.view", (ref, shape), shape)

    def slice(self, ref: Ref, dim: int, start: int, stop: int) -> Op:
        before = self.shape_of(ref)
        shape = (*before[:dim], stop - start, *before[dim + 1 :])
        return self.add("aten.slice", (ref, dim, start, stop), shape)

    def cat(self, refs: Sequence[Ref], dim: int, shape: Shape) -> Op:
        return self.add("aten.cat", (tuple(refs), dim), shape)

    def done(self, ref: Ref) -> Op | None:
        """What an operand has become."""
        return self._done.get(ref.name)

    def alias(self, ref: Ref) -> Op:
        return self.add("aten.alias", (ref,), self.shape)


def _as_view(do: _Rewriting) -> Op | None:
    return do.view(do.op.args[0], do.shape)


def _select(do: _Rewriting) -> Op | None:
    source = do.op.args[0]
    shape = do.shape_of(source)
    dim = int(do.arg(1)) % len(shape)
    if isinstance(shape[dim], str):
        return None
    index = int(do.arg(2)) % int(shape[dim])
    return do.view(Ref(do.slice(source, dim, index, index + 1).name), do.shape)


def _slice(do: _Rewriting) -> Op | None:
    source, step = do.op.args[0], int(do.arg(4, 1, "step"))
    before = do.shape_of(source)
    dim = int(do.arg(1, 0, "dim")) % len(before)
    if isinstance(before[dim], str):
        return do.alias(source) if do.shape == before and step == 1 else None
    size = int(before[dim])
    start, stop = do.arg(2, None, "start"), do.arg(3, None, "end")
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


def _slice_of_joined(do: _Rewriting, source: Ref, dim: int, start: int, stop: int, shape: Shape) -> Op | None:
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


def _slice_scatter(do: _Rewriting) -> Op | None:
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


def _copy(do: _Rewriting) -> Op | None:
    written = do.op.args[1]
    if do.shape_of(written) == do.shape:
        return do.alias(written)
    return do.add("aten.expand", (written, do.shape), do.shape)


def _zeros(do: _Rewriting) -> Op | None:
    return do.add("aten.zeros", (do.shape,), do.shape, dtype=do.op.dtype)


def _ones(do: _Rewriting) -> Op | None:
    return do.add("aten.ones", (do.shape,), do.shape, dtype=do.op.dtype)


def _full(do: _Rewriting) -> Op | None:
    number = do.arg(1 if "like" in do.op.target else 2)
    return do.add("aten.full", (do.shape, number), do.shape, dtype=do.op.dtype)


def _pad(do: _Rewriting) -> Op | None:
    """Zeros around the last dimensions."""
    widths = [int(width) for width in do.op.args[1]]
    value = do.arg(3 if do.op.target == "aten.pad" else 2, 0, "value") or 0
    mode = do.arg(2, "constant", "mode") if do.op.target == "aten.pad" else "constant"
    shape = do.shape_of(do.op.args[0])
    padded = [shape[-1 - place // 2] for place, width in enumerate(widths) if width]
    if min(widths) < 0 or mode != "constant" or any(isinstance(size, str) for size in padded):
        raise UnsupportedModel(f"{do.op} pads by {widths}")
    return do.add("slm.pad", (do.op.args[0], tuple(widths), float(value)), do.shape)


def _rms_norm(do: _Rewriting) -> Op | None:
    eps = do.arg(3, None, "eps")
    weight = do.arg(2, None, "weight")
    if len(do.op.args[1]) != 1 or (isinstance(weight, Ref) and weight.name not in do.graph.parameters):
        raise UnsupportedModel(f"{do.op} normalizes several dimensions")
    return do.add("slm.rms_norm", (do.op.args[0], weight, 2.0**-23 if eps is None else eps, False), do.shape)


def _baddbmm(do: _Rewriting) -> Op | None:
    added, left, right = do.op.args[:3]
    product = do.add("aten.bmm", (left, right), do.shape)
    alpha, beta = do.arg(4, 1, "alpha"), do.arg(3, 1, "beta")
    scaled = product if alpha == 1 else do.add("aten.mul", (Ref(product.name), alpha), do.shape)
    if beta == 0:
        return scaled
    offset = added if beta == 1 else Ref(do.add("aten.mul", (added, beta), do.shape_of(added)).name)
    return do.add("aten.add", (Ref(scaled.name), offset), do.shape)


def _masked_fill(do: _Rewriting) -> Op | None:
    source, mask, value = do.op.args[:3]
    return do.add("aten.where", (mask, value, source), do.shape)


def _extreme(do: _Rewriting) -> Op | None:
    """The smaller or larger of two tensors; of one tensor there is another operator of that name."""
    if len(do.op.args) != 2 or not isinstance(do.op.args[1], Ref):
        return None
    names = {"aten.min": "aten.minimum", "aten.max": "aten.maximum"}
    return do.add(names[do.op.target], do.op.args, do.shape)


def _getitem(do: _Rewriting) -> Op | None:
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


def _split_with_sizes(do: _Rewriting) -> Op | None:
    # The lowerings know the split of the last dimension by this name.
    dim = do.arg(2, 0, "dim")
    return do.add("aten.split", (*do.op.args[:2], dim), None)  # type: ignore[arg-type]


def _stack(do: _Rewriting) -> Op | None:
    dim = int(do.arg(1, 0, "dim")) % len(do.shape)
    shape = (*do.shape[:dim], 1, *do.shape[dim + 1 :])
    pieces = [Ref(do.view(ref, shape).name) for ref in do.op.args[0]]
    return do.cat(pieces, dim, do.shape)


def _concatenate(do: _Rewriting) -> Op | None:
    return do.add("aten.cat", (do.op.args[0], int(do.arg(1, 0, "dim")) % len(do.shape)), do.shape)


def _permute(do: _Rewriting) -> Op | None:
    rank = len(do.shape)
    order = [int(dim) % rank for dim in do.op.args[1]]
    moved = [dim for dim in range(rank) if order[dim] != dim]
    if not moved:
        return do.alias(do.op.args[0])
    if len(moved) == 2:
        return do.add("aten.transpose", (do.op.args[0], *moved), do.shape)
    return do.add("aten.permute", (do.op.args[0], tuple(order)), do.shape)


def _expand(do: _Rewriting) -> Op | None:
    source = do.op.args[0]
    if do.shape_of(source) == do.shape:
        return do.alias(source)
    return do.add("aten.expand", (source, do.shape), do.shape)


def _repeat(do: _Rewriting) -> Op | None:
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


def _repeat_interleave(do: _Rewriting) -> Op | None:
    source, count = do.op.args[0], do.arg(1, None, "repeats")
    dim = do.arg(2, None, "dim")
    if not isinstance(count, int) or dim is None:
        return None
    shape = do.shape_of(source)
    dim = int(dim) % len(shape)
    single = do.view(source, (*shape[: dim + 1], 1, *shape[dim + 1 :]))
    wide = (*shape[: dim + 1], count, *shape[dim + 1 :])
    return do.view(Ref(do.add("aten.expand", (Ref(single.name), wide), wide).name), do.shape)


def _index(do: _Rewriting) -> Op | None:
    """``x[:, [3, 1]]`` with numbers known ahead."""
    source, indices = do.op.args[:2]
    given = [(dim, ref) for dim, ref in enumerate(indices) if ref is not None]
    if len(given) != 1 or given[0][1].name not in do.graph.constants:
        return None
    [(dim, ref)] = given
    shape, numbers = do.graph.constants[ref.name]
    before = do.shape_of(source)
    if len(shape) > 1 or len(numbers) > _MAXIMUM_PIECES or before[dim] == SEQUENCE:
        return None
    places = [int(number) % int(before[dim]) for number in numbers]
    pieces = [Ref(do.slice(source, dim, place, place + 1).name) for place in places]
    if len(pieces) == 1:
        return do.view(pieces[0], do.shape)
    return do.cat(pieces, dim, (*before[:dim], len(pieces), *before[dim + 1 :]))


def _product(do: _Rewriting, left: Any, right: Any) -> Op:
    return do.add("aten.mul", (left, right), do.shape)


def _power(do: _Rewriting) -> Op | None:
    source, exponent = do.op.args[0], do.arg(1)
    if do.op.target == "aten.square" or exponent == 2:
        return _product(do, source, source)
    if exponent == 3:
        return _product(do, Ref(_product(do, source, source).name), source)
    roots = {0.5: "aten.sqrt", -0.5: "aten.rsqrt"}
    return do.add(roots[exponent], (source,), do.shape) if exponent in roots else None


def _negative(do: _Rewriting) -> Op | None:
    return _product(do, do.op.args[0], -1.0)


def _with_factor(do: _Rewriting) -> Op | None:
    """``a + alpha * b``; rsub is ``b - alpha * a``."""
    left, right = do.op.args[:2]
    target = do.op.target
    if target == "aten.rsub":
        left, right, target = right, left, "aten.sub"
    alpha = do.op.kwargs.get("alpha", 1)
    if alpha == 1:
        return None if target == do.op.target else do.add(target, (left, right), do.shape)
    if isinstance(right, Ref):
        scaled = do.add("aten.mul", (right, alpha), do.shape_of(right))
        return do.add(target, (left, Ref(scaled.name)), do.shape)
    return do.add(target, (left, right * alpha), do.shape)


def _view_as_real(do: _Rewriting) -> Op | None:
    """A product of complex numbers: pairs of columns that turn by an angle."""
    product = do.graph.by_name.get(do.op.args[0].name)
    if product is None or product.target != "aten.mul":
        return None
    pair, turn = product.args[:2]
    source = do.graph.by_name.get(pair.name)
    if source is None or source.target != "aten.view_as_complex":
        return None
    angles = do.add("aten.view_as_real", (turn,), (*do.shape_of(turn), 2))
    last, flat = len(do.shape) - 1, (*do.shape[:-1], 1)
    halves = [Ref(do.slice(source.args[0], last, half, half + 1).name) for half in (0, 1)]
    pair_dim = len(do.shape_of(turn))
    turns = [Ref(do.slice(Ref(angles.name), pair_dim, half, half + 1).name) for half in (0, 1)]

    def combined(target: str, first: int, second: int) -> Ref:
        terms = [
            Ref(do.add("aten.mul", (halves[0], turns[first]), flat).name),
            Ref(do.add("aten.mul", (halves[1], turns[second]), flat).name),
        ]
        return Ref(do.add(target, tuple(terms), flat).name)

    return do.cat([combined("aten.sub", 0, 1), combined("aten.add", 1, 0)], last, do.shape)


def _concat(do: _Rewriting) -> Op | None:
    dim = int(do.arg(1, 0, "dim")) % len(do.shape)
    return do.cat(do.op.args[0], dim, do.shape)


def _same(do: _Rewriting) -> Op | None:
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
_RULES: dict[str, Callable[[_Rewriting], Op | None]] = {
    **dict.fromkeys(_RESHAPES, _as_view),
    **dict.fromkeys(("aten.concat", "aten.concatenate"), _concatenate),
    "aten.select": _select,
    "aten.slice": _slice,
    "getitem": _getitem,
    "aten.split_with_sizes": _split_with_sizes,
    "aten.stack": _stack,
    "aten.concat": _concat,
    "aten.permute": _permute,
    "aten.expand": _expand,
    "aten.expand_as": _expand,
    "aten.broadcast_to": _expand,
    "aten.repeat": _repeat,
    "aten.repeat_interleave": _repeat_interleave,
    "aten.index": _index,
    "aten.square": _power,
    "aten.pow": _power,
    "aten.neg": _negative,
    "aten.add": _with_factor,
    "aten.sub": _with_factor,
    "aten.rsub": _with_factor,
    "aten.view_as_real": _view_as_real,
    "aten.type_as": _same,
    "aten.min": _extreme,
    "aten.max": _extreme,
    "aten.slice_scatter": _slice_scatter,
    "aten.copy": _copy,
    **dict.fromkeys(
        ("aten.new_empty", "aten.new_zeros", "aten.zeros_like", "aten.empty", "aten.empty_like"), _zeros
    ),
    **dict.fromkeys(("aten.new_ones", "aten.ones_like"), _ones),
    **dict.fromkeys(("aten.new_full", "aten.full_like"), _full),
    **dict.fromkeys(("aten.pad", "aten.constant_pad_nd"), _pad),
    "aten.rms_norm": _rms_norm,
    "aten.baddbmm": _baddbmm,
    "aten.masked_fill": _masked_fill,
}
