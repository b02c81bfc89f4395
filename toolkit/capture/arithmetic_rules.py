"""Rewrites of arithmetic: signs, factors and small powers become products; new tensors and their edges."""

from __future__ import annotations

from typing import Any

from toolkit.capture.graph import Op, Ref
from toolkit.capture.rewriting import Rewriting, Rule
from toolkit.errors import UnsupportedModel


def _zeros(do: Rewriting) -> Op | None:
    return do.add("aten.zeros", (do.shape,), do.shape, dtype=do.op.dtype)


def _ones(do: Rewriting) -> Op | None:
    return do.add("aten.ones", (do.shape,), do.shape, dtype=do.op.dtype)


def _full(do: Rewriting) -> Op | None:
    number = do.arg(1 if "like" in do.op.target else 2)
    return do.add("aten.full", (do.shape, number), do.shape, dtype=do.op.dtype)


def _pad(do: Rewriting) -> Op | None:
    """Zeros around the last dimensions."""
    widths = [int(width) for width in do.op.args[1]]
    value = do.arg(3 if do.op.target == "aten.pad" else 2, 0, "value") or 0
    mode = do.arg(2, "constant", "mode") if do.op.target == "aten.pad" else "constant"
    shape = do.shape_of(do.op.args[0])
    padded = [shape[-1 - place // 2] for place, width in enumerate(widths) if width]
    if min(widths) < 0 or mode != "constant" or any(isinstance(size, str) for size in padded):
        raise UnsupportedModel(f"{do.op} pads by {widths}")
    return do.add("slm.pad", (do.op.args[0], tuple(widths), float(value)), do.shape)


def _rms_norm(do: Rewriting) -> Op | None:
    eps = do.arg(3, None, "eps")
    weight = do.arg(2, None, "weight")
    if len(do.op.args[1]) != 1 or (isinstance(weight, Ref) and weight.name not in do.graph.parameters):
        raise UnsupportedModel(f"{do.op} normalizes several dimensions")
    return do.add("slm.rms_norm", (do.op.args[0], weight, 2.0**-23 if eps is None else eps, False), do.shape)


def _baddbmm(do: Rewriting) -> Op | None:
    added, left, right = do.op.args[:3]
    product = do.add("aten.bmm", (left, right), do.shape)
    alpha, beta = do.arg(4, 1, "alpha"), do.arg(3, 1, "beta")
    scaled = product if alpha == 1 else do.add("aten.mul", (Ref(product.name), alpha), do.shape)
    if beta == 0:
        return scaled
    offset = added if beta == 1 else Ref(do.add("aten.mul", (added, beta), do.shape_of(added)).name)
    return do.add("aten.add", (Ref(scaled.name), offset), do.shape)


def _matmul(do: Rewriting) -> Op | None:
    """A product with a parameter is a linear, however it is written."""
    source, right = do.op.args[:2]
    turned = do.done(right)
    is_turned = turned is not None and turned.target == "aten.transpose"
    weight = turned.args[0] if turned is not None and is_turned else right
    if weight.name not in do.graph.parameters or len(do.shape_of(weight)) != 2:
        return None
    kwargs = {} if is_turned else {"transposed": True}
    return do.add("aten.linear", (source, weight, None), do.shape, **kwargs)


def _multiply(do: Rewriting) -> Op | None:
    return _product(do, *do.op.args[:2])


def _deviation(do: Rewriting) -> Op | None:
    """Standard deviation or variance over the last dimension."""
    source, dims = do.op.args[0], do.arg(1, None, "dim")
    shape = do.shape_of(source)
    dims = dims if isinstance(dims, tuple) else (dims,)
    correction = do.op.kwargs.get("correction", do.arg(2, True, "unbiased"))
    size = shape[-1]
    if dims not in ((-1,), (len(shape) - 1,)) or isinstance(size, str):
        raise UnsupportedModel(f"{do.op} is not over the last dimension")
    kept = (*shape[:-1], 1)
    mean = do.add("aten.mean", (source, (-1,), True), kept)
    centred = do.add("aten.sub", (source, Ref(mean.name)), shape)
    squares = do.add("aten.mul", (Ref(centred.name), Ref(centred.name)), shape)
    result = do.add("aten.mean", (Ref(squares.name), (-1,), True), kept)
    rest = size - int(1 if correction is None else correction)
    if rest != size:
        result = do.add("aten.mul", (Ref(result.name), size / rest), kept)
    if do.op.target == "aten.std":
        result = do.add("aten.sqrt", (Ref(result.name),), kept)
    return result if do.shape == kept else do.view(Ref(result.name), do.shape)


def _masked_fill(do: Rewriting) -> Op | None:
    source, mask, value = do.op.args[:3]
    return do.add("aten.where", (mask, value, source), do.shape)


def _extreme(do: Rewriting) -> Op | None:
    """The smaller or larger of two tensors; of one tensor there is another operator of that name."""
    if len(do.op.args) != 2 or not isinstance(do.op.args[1], Ref):
        return None
    names = {"aten.min": "aten.minimum", "aten.max": "aten.maximum"}
    return do.add(names[do.op.target], do.op.args, do.shape)


def _product(do: Rewriting, left: Any, right: Any) -> Op:
    return do.add("aten.mul", (left, right), do.shape)


def _power(do: Rewriting) -> Op | None:
    source, exponent = do.op.args[0], do.arg(1)
    if do.op.target == "aten.square" or exponent == 2:
        return _product(do, source, source)
    if exponent == 3:
        return _product(do, Ref(_product(do, source, source).name), source)
    roots = {0.5: "aten.sqrt", -0.5: "aten.rsqrt"}
    return do.add(roots[exponent], (source,), do.shape) if exponent in roots else None


def _negative(do: Rewriting) -> Op | None:
    return _product(do, do.op.args[0], -1.0)


def _clip(do: Rewriting) -> Op | None:
    return do.add("aten.clamp", do.op.args, do.shape, **do.op.kwargs)


def _leaky_relu(do: Rewriting) -> Op | None:
    """The larger of a value and a fraction of it."""
    source, slope = do.op.args[0], do.arg(1, 0.01, "negative_slope")
    if not 0 <= slope <= 1:
        return None
    return do.add("aten.maximum", (source, Ref(_product(do, source, slope).name)), do.shape)


def _log_sigmoid(do: Rewriting) -> Op | None:
    inverse = _product(do, do.op.args[0], -1.0)
    return _product(do, Ref(do.add("aten.softplus", (Ref(inverse.name),), do.shape).name), -1.0)


def _with_factor(do: Rewriting) -> Op | None:
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


def _view_as_real(do: Rewriting) -> Op | None:
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


_EMPTY = ("aten.new_empty", "aten.new_zeros", "aten.zeros_like", "aten.empty", "aten.empty_like")
ARITHMETIC: dict[str, Rule] = {
    **dict.fromkeys(_EMPTY, _zeros),
    **dict.fromkeys(("aten.new_ones", "aten.ones_like"), _ones),
    **dict.fromkeys(("aten.new_full", "aten.full_like"), _full),
    **dict.fromkeys(("aten.pad", "aten.constant_pad_nd"), _pad),
    "aten.rms_norm": _rms_norm,
    "aten.baddbmm": _baddbmm,
    **dict.fromkeys(("aten.matmul", "aten.mm"), _matmul),
    "aten.multiply": _multiply,
    **dict.fromkeys(("aten.std", "aten.var"), _deviation),
    "aten.masked_fill": _masked_fill,
    **dict.fromkeys(("aten.min", "aten.max"), _extreme),
    **dict.fromkeys(("aten.square", "aten.pow"), _power),
    "aten.neg": _negative,
    "aten.clip": _clip,
    "aten.leaky_relu": _leaky_relu,
    "aten.log_sigmoid": _log_sigmoid,
    **dict.fromkeys(("aten.add", "aten.sub", "aten.rsub"), _with_factor),
    "aten.view_as_real": _view_as_real,
}
