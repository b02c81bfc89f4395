"""Attention that a model writes out by itself, recognized by what it computes.

Some models multiply queries and keys, add a mask and take the softmax in their own code. Whatever they do to
the scores is tried out on numbers: it must be a factor, the mask of causal attention with or without a
window, and possibly a bias that grows with the distance (ALiBi, arXiv 2108.12409). The bias becomes one more
column of queries and keys, slope and position: a softmax does not see what a row's scores have in common. A
bias of each key that is no straight line (ALiBi in bfloat16) is a column as the model computes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref, references
from toolkit.capture.interpret import Interpreter
from toolkit.errors import UnsupportedModel

# Long enough to see every window that such models have.
_LENGTH = 600
# Whatever is further below any score has no share of a row, be it -1e4, -3e38 or an infinity.
_HIDDEN = -5e3
# Columns that a bias adds to each head, of which one is used: engines take heads of multiples of 8.
_COLUMNS = 8


@dataclass(frozen=True)
class _Scores:
    """What happens to the products of queries and keys.

    Attributes:
        scale: factor.
        window: as slm::attention has it.
        slopes: of the bias, one for each head; None for no such bias.
        column: operation that yields a bias of each key, and its factor; None for no such bias.
    """

    scale: float
    window: int
    slopes: tuple[float, ...] | None = None
    column: tuple[str, float] | None = None


def recognize_attention(graph: DecoderGraph, limit: int) -> DecoderGraph:
    """Every attention that is written out becomes an ``slm.attention``.

    Args:
        graph: simplified.
        limit: longest text of the model.
    """
    users = graph.users()
    placed: dict[str, list[Op]] = {}
    count = sum(op.target == "slm.attention" for op in graph.ops)
    for op in graph.ops:
        if op.target == "aten.scaled_dot_product_attention":
            placed[op.name] = _from_sdpa(graph, op, count, limit)
            count += 1
        elif op.target in ("aten.softmax", "aten._softmax") and (op.shape or ()).count(SEQUENCE) == 2:
            product, output = _product(graph, op), _output(users, op)
            if product is None or output is None:
                continue
            scores = _scores(graph, product, op.args[0].name, limit)
            placed[output.name] = _Attention(graph, count, scores).from_products(product, op, output)
            count += 1
    if not placed:
        return graph
    ops = [new for op in graph.ops for new in placed.get(op.name, [op])]
    return replace(graph, ops=tuple(ops))


def _product(graph: DecoderGraph, softmax: Op) -> Op | None:
    """The product of queries and keys that a softmax is made of."""
    waiting = [softmax.args[0].name]
    seen = set()
    found: list[Op] = []
    while waiting:
        op = graph.by_name.get(waiting.pop())
        if op is None or op.name in seen:
            continue
        seen.add(op.name)
        if op.target in ("aten.matmul", "aten.bmm"):
            found.append(op)
        elif (op.shape or ()).count(SEQUENCE) >= 1:
            waiting += references(op)
    return found[0] if len(found) == 1 else None


def _output(users: dict[str, list[Op]], softmax: Op) -> Op | None:
    """The product of a softmax and the values."""
    op = softmax
    while len(readers := users.get(op.name, [])) == 1:
        [op] = readers
        if op.target in ("aten.matmul", "aten.bmm"):
            return op
        if op.target not in ("aten.view", "aten.to"):
            return None
    return None


def _scores(graph: DecoderGraph, product: Op, result: str, limit: int) -> _Scores:
    length = min(_LENGTH, limit)
    shape = [length if size == SEQUENCE else int(size) for size in product.shape or ()]

    def evaluate(number: float) -> Tensor:
        interpreter = Interpreter(graph, length, read=_unreadable, rope=_no_rope)
        interpreter.assume(product.name, torch.full(shape, number))
        try:
            value: Tensor = interpreter.value(result)
        except (RuntimeError, TypeError, NotImplementedError, IndexError, AttributeError) as error:
            raise UnsupportedModel(
                f"{product} is attention whose scores cannot be followed: {str(error).splitlines()[0][:120]}"
            ) from None
        return value.reshape(-1, length, length)

    def column(bias: Tensor) -> tuple[str, float] | None:
        return _column(graph, result, product.name, bias)

    return _classified(evaluate, column, str(product))


def _column(graph: DecoderGraph, result: str, product: str, bias: Tensor) -> tuple[str, float] | None:
    """What yields the bias of each key [H, T], up to a factor and to what a head's keys have in common."""
    heads, length = bias.shape
    interpreter = Interpreter(graph, length, read=_unreadable, rope=_no_rope)
    waiting, seen = [result], {product}
    while waiting:
        op = graph.by_name.get(waiting.pop(0))
        if op is None or op.name in seen:
            continue
        seen.add(op.name)
        waiting += references(op)
        shape = op.shape or ()
        if shape.count(SEQUENCE) != 1 or shape[-1] != SEQUENCE:
            continue
        value = interpreter.value(op.name).double().reshape(-1, length)
        if len(value) not in (1, heads) or not value.is_floating_point():
            continue
        value, wanted = ((rows - rows[:, :1]).expand(heads, length) for rows in (value, bias))
        factor = float((value * wanted).sum() / (value * value).sum().clamp_min(1e-30))
        if torch.allclose(value * factor, wanted, rtol=1e-5, atol=1e-4):
            return op.name, factor
    return None


def _classified(
    evaluate: Callable[[float], Tensor], column: Callable[[Tensor], tuple[str, float] | None], subject: str
) -> _Scores:
    base, one, two = (evaluate(number).double() for number in (0.0, 1.0, 2.0))
    length = base.shape[-1]
    visible = base[0] > _HIDDEN
    distance = torch.arange(length)[:, None] - torch.arange(length)[None]
    window = int(visible[-1].sum())
    expected = (distance >= 0) & (distance < window)
    steps = (one - base)[:, expected], (two - one)[:, expected]
    scale = float(steps[0].mean())
    if (
        not torch.equal(visible, expected)
        or not torch.equal(base > _HIDDEN, visible.expand_as(base))
        or any(not torch.allclose(step, torch.full_like(step, scale), atol=1e-4) for step in steps)
    ):
        raise UnsupportedModel(f"{subject} is attention with a mask or a bias that is not known")
    if window < length:
        # Within a window no bias is known.
        slopes, bias = base.new_zeros(len(base)), base
    else:
        bias = base[:, -1]
        slopes = (bias[:, -1] - bias[:, 0]) / float(length - 1)
    along = base - base.diagonal(dim1=1, dim2=2)[..., None]
    found = _Scores(scale, 0 if window == length else window)
    if torch.allclose(along[:, expected], -slopes[:, None] * distance[expected], atol=1e-3):
        biased = bool((slopes.abs() > 1e-6).any())
        return replace(found, slopes=tuple(slopes.tolist())) if biased else found
    if window == length:
        own = bias[:, None] - bias[:, :, None]
        same = torch.allclose(along[:, expected], own[:, expected], atol=1e-3)
        if same and (given := column(bias)) is not None:
            return replace(found, column=given)
    raise UnsupportedModel(f"{subject} is attention with a bias that does not follow from the key's position")


def _from_sdpa(graph: DecoderGraph, op: Op, layer: int, limit: int) -> list[Op]:
    """Torch's attention with a mask that the model makes itself."""
    query, mask = op.args[0], op.args[3] if len(op.args) > 3 else op.kwargs.get("attn_mask")
    causal = op.args[5] if len(op.args) > 5 else op.kwargs.get("is_causal", False)
    head_dim = int((graph.by_name[query.name].shape or (1,))[-1])
    given = op.args[6] if len(op.args) > 6 else op.kwargs.get("scale")
    scale = float(head_dim**-0.5 if given is None else given)
    if mask is None:
        if not causal:
            raise UnsupportedModel(f"{op} is attention without a causal mask")
        return _Attention(graph, layer, _Scores(scale, 0)).of(op.args[:3], op)
    length = min(_LENGTH, limit)
    try:
        value = Interpreter(graph, length, read=_unreadable, rope=_no_rope).value(mask.name)
    except (RuntimeError, TypeError, NotImplementedError, IndexError, AttributeError) as error:
        raise UnsupportedModel(
            f"{op} is attention whose mask cannot be followed: {str(error).splitlines()[0][:120]}"
        ) from None
    if value.dtype == torch.bool:
        value = torch.where(value, 0.0, -torch.inf)
    added = value.reshape(-1, length, length).clamp(min=-1e30)
    scores = _classified(
        lambda number: added + number * scale,
        lambda bias: _column(graph, mask.name, "", bias),
        str(op),
    )
    return _Attention(graph, layer, scores).of(op.args[:3], op)


class _Attention:
    """Operations of one attention."""

    def __init__(self, graph: DecoderGraph, layer: int, scores: _Scores) -> None:
        self._graph = graph
        self._layer = layer
        self._scores = scores
        self._ops: list[Op] = []
        self._stem = ""
        self._module = ""

    def from_products(self, product: Op, softmax: Op, output: Op) -> list[Op]:
        """``softmax(query @ keys, transposed) @ values``."""
        self._start(softmax)
        query, transposed = product.args[:2]
        before = self._graph.by_name[transposed.name]
        shape = before.shape or ()
        rank = len(shape)
        turned = before.target == "aten.transpose"
        if turned and {int(dim) % rank for dim in before.args[1:3]} == {rank - 2, rank - 1}:
            key = before.args[0]
        else:
            swapped = (*shape[:-2], shape[-1], shape[-2])
            key = self._add("aten.transpose", (transposed, rank - 2, rank - 1), swapped)
        return self.of((query, key, output.args[1]), output)

    def of(self, operands: tuple[Any, ...], output: Op) -> list[Op]:
        """Attention whose result takes the place of ``output``, [.., H, S, D]."""
        self._start(output)
        query, key, value = (self._heads(ref) for ref in operands)
        width = int(self._shape(value)[-1])
        if self._scores.slopes is not None:
            query, key = self._sloping(query, key, self._scores.slopes)
        elif self._scores.column is not None:
            query, key = self._biased(query, key, *self._scores.column)
        wide = max(int(self._shape(ref)[-1]) for ref in (query, value))
        wide = -(-wide // _COLUMNS) * _COLUMNS
        query, key, value = (self._padded(ref, wide) for ref in (query, key, value))
        heads = self._shape(query)[1]
        scores = self._scores
        args = (query, key, value, self._layer, scores.scale, scores.window, 0.0)
        result = self._add("slm.attention", args, (1, SEQUENCE, heads, wide))
        if wide > width:
            result = self._add("aten.slice", (result, 3, 0, width), (1, SEQUENCE, heads, width))
        shape = (1, heads, SEQUENCE, width)
        result = self._add("aten.transpose", (result, 1, 2), shape)
        if output.shape != shape:
            result = self._add("aten.view", (result, output.shape), output.shape or ())
        self._ops[-1] = replace(self._ops[-1], name=output.name)
        return self._ops

    def _start(self, op: Op) -> None:
        self._stem, self._module = op.name, op.module

    def _sloping(self, query: Ref, key: Ref, slopes: tuple[float, ...]) -> tuple[Ref, Ref]:
        """Slopes beside queries, positions beside keys."""
        heads, kv_heads = (int(self._shape(ref)[1]) for ref in (query, key))
        numbers = [slope / self._scores.scale for slope in slopes]
        slope = self._constant("slopes", (1, heads, 1, 1), numbers * (heads // len(numbers)))
        places = self._add("aten.view", (Ref("position_ids"), (1, 1, SEQUENCE, 1)), (1, 1, SEQUENCE, 1))
        place = self._add("aten.to", (places, "float32"), (1, 1, SEQUENCE, 1))
        return self._joined(query, slope, heads, 1), self._joined(key, place, kv_heads, 1)

    def _biased(self, query: Ref, key: Ref, column: str, factor: float) -> tuple[Ref, Ref]:
        """Ones beside queries, what each key adds beside keys: a column for each head that has its own."""
        heads, kv_heads = (int(self._shape(ref)[1]) for ref in (query, key))
        rows = Ref(column)
        biases = math.prod(int(size) for size in self._shape(rows) if size != SEQUENCE)
        flat = self._add("aten.view", (rows, (1, biases, SEQUENCE, 1)), (1, biases, SEQUENCE, 1))
        scale = factor / self._scores.scale
        scaled = self._add("aten.mul", (flat, scale), (1, biases, SEQUENCE, 1))
        if biases in (1, kv_heads):
            one = self._constant("ones", (1, 1, 1, 1), [1.0])
            return self._joined(query, one, heads, 1), self._joined(key, scaled, kv_heads, 1)
        own = [float(row == column) for row in range(heads) for column in range(heads)]
        choice = self._constant("choice", (1, heads, 1, heads), own)
        turned = self._add("aten.transpose", (scaled, 1, 3), (1, 1, SEQUENCE, biases))
        return self._joined(query, choice, heads, heads), self._joined(key, turned, kv_heads, heads)

    def _joined(self, states: Ref, columns: Ref, heads: int, width: int) -> Ref:
        """Heads' states with more columns."""
        wide = (1, heads, SEQUENCE, width)
        expanded = self._add("aten.expand", (columns, wide), wide)
        shape = self._shape(states)
        return self._add("aten.cat", ((states, expanded), 3), (*shape[:3], int(shape[3]) + width))

    def _constant(self, name: str, shape: tuple[int, ...], numbers: list[float]) -> Ref:
        name = f"{self._stem}.{name}"
        self._graph.constants[name] = (shape, torch.tensor(numbers))  # type: ignore[assignment]
        return Ref(name)

    def _heads(self, ref: Ref) -> Ref:
        shape = self._shape(ref)
        return ref if len(shape) == 4 else self._add("aten.view", (ref, (1, *shape)), (1, *shape))

    def _padded(self, ref: Ref, width: int) -> Ref:
        shape = self._shape(ref)
        missing = width - int(shape[-1])
        return self._add("slm.pad", (ref, (0, missing), 0.0), (*shape[:-1], width)) if missing else ref

    def _shape(self, ref: Ref) -> tuple[int | str, ...]:
        if ref.name in self._graph.constants:
            return self._graph.constants[ref.name][0]
        op = next((op for op in self._ops if op.name == ref.name), None) or self._graph.by_name.get(ref.name)
        if op is None or op.shape is None:
            raise UnsupportedModel(f"{ref.name} is read by an attention and is not one tensor")
        return op.shape

    def _add(self, target: str, args: tuple[Any, ...], shape: tuple[int | str, ...]) -> Ref:
        name = f"{self._stem}.attention.{len(self._ops)}"
        self._ops.append(Op(name, target, args, {}, shape, "float32", self._module))
        return Ref(name)


def _unreadable(name: str) -> Tensor:
    raise UnsupportedModel(f"attention whose mask depends on {name}")


def _no_rope(name: str, length: int) -> tuple[Tensor, Tensor]:
    raise UnsupportedModel(f"attention whose mask depends on {name}")
