"""Attention that a model writes out by itself, recognized by what it computes.

Some models multiply queries and keys, add a mask and take the softmax in their own code. Whatever they do to
the scores is tried out on numbers: it must be a factor, the mask of causal attention with or without a
window, and possibly a bias that grows with the distance (ALiBi, arXiv 2108.12409) or is one of each key.
All rows are tried for short texts, a few for the longest one: windows may be wider than a short text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from toolkit.capture.attention_operations import AttentionOperations, Scores
from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, references
from toolkit.capture.interpret import Interpreter
from toolkit.capture.pair_rows import PairRows, no_rope, unreadable
from toolkit.errors import UnsupportedModel, first_line

# All rows of texts as long as this are computed.
_LENGTH = 600
# How following a model's own operations fails.
_FOLLOWING_ERRORS = (RuntimeError, TypeError, NotImplementedError, IndexError, AttributeError)
# Whatever is further below any score has no share of a row, be it -1e4, -3e38 or an infinity.
_HIDDEN = -5e3


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
            placed[output.name] = AttentionOperations(graph, count, scores).from_products(product, op, output)
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


def _scores(graph: DecoderGraph, product: Op, result: str, limit: int) -> Scores:
    length = min(_LENGTH, limit)
    shape = [length if size == SEQUENCE else int(size) for size in product.shape or ()]

    def evaluate(number: float) -> Tensor:
        interpreter = Interpreter(graph, length, read=unreadable, rope=no_rope)
        interpreter.assume(product.name, torch.full(shape, number))
        try:
            value: Tensor = interpreter.value(result)
        except _FOLLOWING_ERRORS as error:
            raise UnsupportedModel(
                f"{product} is attention whose scores cannot be followed: {first_line(error)}"
            ) from None
        return value.reshape(-1, length, length)

    def column(bias: Tensor) -> tuple[str, float] | None:
        return _column(graph, result, product.name, bias)

    def row(longest: int, place: int) -> Tensor:
        rows = PairRows(graph, longest, place)
        rows.assume(product, 0.0)
        return rows.of(result, -2).reshape(-1, longest)

    return _confirmed(_classified(evaluate, column, str(product)), length, limit, row, str(product))


def _column(graph: DecoderGraph, result: str, product: str, bias: Tensor) -> tuple[str, float] | None:
    """What yields the bias of each key [H, T], up to a factor and to what a head's keys have in common."""
    heads, length = bias.shape
    interpreter = Interpreter(graph, length, read=unreadable, rope=no_rope)
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
) -> Scores:
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
    found = Scores(scale, 0 if window == length else window)
    if torch.allclose(along[:, expected], -slopes[:, None] * distance[expected], atol=1e-3):
        biased = bool((slopes.abs() > 1e-6).any())
        return replace(found, slopes=tuple(slopes.tolist())) if biased else found
    if window == length:
        own = bias[:, None] - bias[:, :, None]
        same = torch.allclose(along[:, expected], own[:, expected], atol=1e-3)
        if same and (given := column(bias)) is not None:
            return replace(found, column=given)
    raise UnsupportedModel(f"{subject} is attention with a bias that does not follow from the key's position")


def _confirmed(
    found: Scores, length: int, limit: int, row: Callable[[int, int], Tensor], subject: str
) -> Scores:
    """What was seen in short texts, with the window that the last rows of the longest text have."""
    # At the limit itself models may do something else.
    longest = limit - 1
    if longest <= length:
        return found
    positions = torch.arange(longest)

    def scores(place: int) -> Tensor:
        try:
            return row(longest, place).double()
        except _FOLLOWING_ERRORS as error:
            raise UnsupportedModel(
                f"{subject} is attention whose scores cannot be followed over {longest} positions: "
                f"{first_line(error)}"
            ) from None

    seen = int((scores(longest - 1)[0] > _HIDDEN).sum())
    window = 0 if seen == longest else seen
    biased = found.slopes is not None or found.column is not None
    if (found.window and window != found.window) or (window and biased):
        raise UnsupportedModel(f"{subject} is attention with a mask or a bias that is not known")
    edges = (window - 1, window, (window + longest) // 2) if window else (longest // 2,)
    slopes = torch.tensor(found.slopes or [0.0]).double()[:, None]
    for place in {*edges, longest - 1}:
        values, distance = scores(place), place - positions
        expected = (distance >= 0) & (distance < (window or longest))
        known = torch.equal(values > _HIDDEN, expected.expand_as(values))
        if known and found.column is None:
            along = (values - values[:, place, None])[:, expected]
            # Numbers of the model's own precision, which far from the start are large.
            accuracy = 1e-3 + 1e-6 * float(values[:, expected].abs().max())
            known = torch.allclose(along, -slopes * distance[expected], rtol=1e-4, atol=accuracy)
        if not known:
            raise UnsupportedModel(f"{subject} is attention with a mask or a bias that is not known")
    return replace(found, window=window)


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
        return AttentionOperations(graph, layer, Scores(scale, 0)).of(op.args[:3], op)
    length = min(_LENGTH, limit)
    try:
        value = Interpreter(graph, length, read=unreadable, rope=no_rope).value(mask.name)
    except _FOLLOWING_ERRORS as error:
        raise UnsupportedModel(
            f"{op} is attention whose mask cannot be followed: {first_line(error)}"
        ) from None
    if value.dtype == torch.bool:
        value = torch.where(value, 0.0, -torch.inf)
    added = value.reshape(-1, length, length).clamp(min=-1e30)

    def row(longest: int, place: int) -> Tensor:
        one = PairRows(graph, longest, place).of(mask.name, -2)
        one = torch.where(one, 0.0, -torch.inf) if one.dtype == torch.bool else one
        return one.reshape(-1, longest).clamp(min=-1e30)

    scores = _classified(
        lambda number: added + number * scale,
        lambda bias: _column(graph, mask.name, "", bias),
        str(op),
    )
    scores = _confirmed(scores, length, limit, row, str(op))
    return AttentionOperations(graph, layer, scores).of(op.args[:3], op)
