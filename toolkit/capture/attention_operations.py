"""One ``slm.attention``, and what goes in front of it: biases of keys become columns of queries and keys.

A softmax does not see what a row's scores have in common, so whatever is added to the scores of a key is said
by one more column: ALiBi (arXiv 2108.12409) by slope and position, a bias that is no straight line (ALiBi in
bfloat16) as the model computes it, attention within chunks by a number that the key's chunk lifts above all
earlier ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.errors import UnsupportedModel

# Columns that a bias adds to each head, of which one is used: engines take heads of multiples of 8.
_COLUMNS = 8
# Between the scores of one chunk and those of the next: e to minus that is nothing beside any share of a row.
_CHUNK_DISTANCE = 64.0


@dataclass(frozen=True)
class Scores:
    """What happens to the products of queries and keys.

    Attributes:
        scale: factor.
        window: as slm::attention has it.
        slopes: of the bias, one for each head; None for no such bias.
        column: operation that yields a bias of each key, and its factor; None for no such bias.
        chunk: tokens of a chunk, beyond which none is seen; 0 for no chunks.
        sinks: as slm::attention has them.
    """

    scale: float
    window: int
    slopes: tuple[float, ...] | None = None
    column: tuple[str, float] | None = None
    chunk: int = 0
    sinks: Ref | None = None


class AttentionOperations:
    """Operations of one attention."""

    def __init__(self, graph: DecoderGraph, layer: int, scores: Scores) -> None:
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
        result = self._attended(operands, output)
        _, length, heads, width = self._shape(result)
        shape = (1, heads, length, width)
        result = self._add("aten.transpose", (result, 1, 2), shape)
        if output.shape != shape:
            result = self._add("aten.view", (result, output.shape), output.shape or ())
        return self._named(output)

    def in_place_of(self, attention: Op) -> list[Op]:
        """The operations that do what an ``slm.attention`` says with these scores."""
        self._attended(attention.args[:3], attention)
        return self._named(attention)

    def _attended(self, operands: tuple[Any, ...], output: Op) -> Ref:
        """Attention [1, S, H, D] of values D wide."""
        self._start(output)
        query, key, value = (self._heads(ref) for ref in operands)
        width = int(self._shape(value)[-1])
        if self._scores.slopes is not None:
            query, key = self._sloping(query, key, self._scores.slopes)
        elif self._scores.column is not None:
            query, key = self._biased(query, key, *self._scores.column)
        elif self._scores.chunk:
            query, key = self._chunked(query, key, self._scores.chunk)
        wide = max(int(self._shape(ref)[-1]) for ref in (query, value))
        wide = -(-wide // _COLUMNS) * _COLUMNS
        query, key, value = (self._padded(ref, wide) for ref in (query, key, value))
        heads = self._shape(query)[1]
        scores = self._scores
        args = (query, key, value, self._layer, scores.scale, scores.window, 0.0, scores.sinks)
        result = self._add("slm.attention", args, (1, SEQUENCE, heads, wide))
        if wide > width:
            result = self._add("aten.slice", (result, 3, 0, width), (1, SEQUENCE, heads, width))
        return result

    def _named(self, output: Op) -> list[Op]:
        """The operations, of which the last one has the name of what it stands for."""
        self._ops[-1] = replace(self._ops[-1], name=output.name)
        return self._ops

    def _start(self, op: Op) -> None:
        self._stem, self._module = op.name, op.module

    def _sloping(self, query: Ref, key: Ref, slopes: tuple[float, ...]) -> tuple[Ref, Ref]:
        """Slopes beside queries, positions beside keys."""
        heads, kv_heads = (int(self._shape(ref)[1]) for ref in (query, key))
        numbers = [slope / self._scores.scale for slope in slopes]
        slope = self._constant("slopes", (1, heads, 1, 1), numbers * (heads // len(numbers)))
        return self._joined(query, slope, heads, 1), self._joined(key, self._places(), kv_heads, 1)

    def _chunked(self, query: Ref, key: Ref, chunk: int) -> tuple[Ref, Ref]:
        """Ones beside queries, beside keys a number that grows from chunk to chunk: later ones are unseen."""
        heads, kv_heads = (int(self._shape(ref)[1]) for ref in (query, key))
        one = self._constant("ones", (1, 1, 1, 1), [1.0])
        shape = (1, 1, SEQUENCE, 1)
        number = self._add("aten.div", (self._places(), chunk), shape)
        number = self._add("aten.floor", (number,), shape)
        lifted = self._add("aten.mul", (number, _CHUNK_DISTANCE / self._scores.scale), shape)
        return self._joined(query, one, heads, 1), self._joined(key, lifted, kv_heads, 1)

    def _places(self) -> Ref:
        """Positions of the call's tokens, as numbers [1, 1, S, 1]."""
        shape = (1, 1, SEQUENCE, 1)
        places = self._add("aten.view", (Ref("position_ids"), shape), shape)
        return self._add("aten.to", (places, "float32"), shape)

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
