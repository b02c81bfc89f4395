"""Single rows of what a graph computes for pairs of positions: all of it fits no memory for long texts."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref
from toolkit.capture.interpret import Interpreter
from toolkit.errors import UnsupportedModel

# Each element follows from those at its own place, as in what torch tags so.
_BY_ELEMENT = ("aten.to", "aten._to_copy", "aten.full_like", "aten.zeros_like", "aten.ones_like")
_FLAGS = ("aten.__and__", "aten.__or__", "aten.__xor__")
_VIEWS = ("aten.view", "aten.reshape", "aten.unsqueeze", "aten.squeeze")
_TRIANGLES = ("aten.tril", "aten.triu")
# Elements that are computed whole where single rows cannot be: 256 MB.
_MAXIMUM_ELEMENTS = 2**26


class PairRows:
    """Rows of a graph's operations for one sequence length.

    Args:
        graph: captured.
        length: stands for the sequence length.
        row: the one that is computed.
    """

    def __init__(self, graph: DecoderGraph, length: int, row: int) -> None:
        self._graph = graph
        self._length = length
        self._row = row
        self._whole = self._interpreter()
        self._assumed: dict[str, float] = {}

    def assume(self, op: Op, number: float) -> None:
        """Give an operation one number throughout."""
        self._assumed[op.name] = number
        self._whole.assume(op.name, torch.tensor(number).expand(self._sizes(op)))

    def of(self, name: str, dim: int) -> Tensor:
        """What an operation yields, with the one row alone along a dimension.

        Raises:
            UnsupportedModel: it can be computed for all rows only, and they are too many.
        """
        op = self._graph.by_name.get(name)
        shape = None if op is None else op.shape
        if op is None or shape is None or shape.count(SEQUENCE) < 2:
            return self._cut(self._whole.value(name), dim)
        dim %= len(shape)
        if name in self._assumed:
            return torch.tensor(self._assumed[name]).expand(self._sizes(op, dim))
        row = self._by_row(op, shape, dim)
        if row is not None:
            return row
        if math.prod(self._sizes(op)) > _MAXIMUM_ELEMENTS:
            raise UnsupportedModel(f"{op} cannot be followed over {self._length} positions")
        return self._cut(self._whole.value(name), dim)

    def _by_row(self, op: Op, shape: tuple[int | str, ...], dim: int) -> Tensor | None:
        if _by_element(op.target):
            return self._applied(op, len(shape) - dim)
        if op.target in ("aten.full", "aten.ones", "aten.zeros"):
            number = {"aten.ones": 1.0, "aten.zeros": 0.0}.get(op.target)
            dtype = getattr(torch, op.dtype or "float32")
            value = torch.tensor(op.args[1] if number is None else number, dtype=dtype)
            return value.expand(self._sizes(op, dim))
        source = op.args[0] if op.args and isinstance(op.args[0], Ref) else None
        before = self._shape(source)
        if source is None or before is None:
            return None
        if op.target in _TRIANGLES and dim >= len(shape) - 2:
            places = torch.arange(self._length)
            ahead = places - self._row if dim == len(shape) - 2 else (self._row - places)[:, None]
            shifted = ahead - int(op.argument(1, "diagonal", 0))
            kept = shifted <= 0 if op.target == "aten.tril" else shifted >= 0
            rows = self.of(source.name, dim)
            return torch.where(kept, rows, torch.zeros((), dtype=rows.dtype))
        if op.target == "aten.expand":
            place = dim - (len(shape) - len(before))
            varies = place >= 0 and before[place] == SEQUENCE
            value = self.of(source.name, place) if varies else self._whole.value(source.name)
            return value.expand(self._sizes(op, dim))
        if op.target in _VIEWS:
            found = _same_place(shape, before, dim)
            return None if found is None else self.of(source.name, found).reshape(self._sizes(op, dim))
        if op.target in ("aten.transpose", "aten.permute"):
            order = list(range(len(shape)))
            if op.target == "aten.permute":
                order = [int(one) % len(shape) for one in op.args[1]]
            else:
                first, second = (int(one) % len(shape) for one in op.args[1:3])
                order[first], order[second] = second, first
            return self.of(source.name, order[dim]).permute(order)
        if op.target == "aten.slice" and before[dim] == SEQUENCE and before.count(SEQUENCE) == 2:
            cut = int(op.argument(1, "dim", 0)) % len(shape)
            whole = op.argument(2, "start", None) in (None, 0) and before[cut] == shape[cut]
            return self.of(source.name, dim) if whole else None
        return None

    def _applied(self, op: Op, from_end: int) -> Tensor:
        """An operation by element, with the row of each operand that has a dimension at that place."""
        one = self._interpreter()
        for ref in (value for value in (*op.args, *op.kwargs.values()) if isinstance(value, Ref)):
            shape = self._shape(ref) or ()
            place = len(shape) - from_end
            varies = place >= 0 and shape[place] != 1
            one.assume(ref.name, self.of(ref.name, place) if varies else self._whole.value(ref.name))
        value: Tensor = one.value(op.name)
        return value

    def _cut(self, value: Tensor, dim: int) -> Tensor:
        return value.narrow(dim, self._row, 1)

    def _shape(self, ref: Any) -> tuple[int | str, ...] | None:
        if not isinstance(ref, Ref):
            return None
        if ref.name in self._graph.constants:
            return self._graph.constants[ref.name][0]
        op = self._graph.by_name.get(ref.name)
        return (1, SEQUENCE) if op is None else op.shape

    def _sizes(self, op: Op, dim: int | None = None) -> list[int]:
        """The shape in numbers, with one row along ``dim``."""
        shape = op.shape or ()
        return [
            1 if index == dim else self._length if isinstance(size, str) else size
            for index, size in enumerate(shape)
        ]

    def _interpreter(self) -> Interpreter:
        return Interpreter(self._graph, self._length, read=unreadable, rope=no_rope)


def unreadable(name: str) -> Tensor:
    """Refuse a mask that depends on a parameter."""
    raise UnsupportedModel(f"attention whose mask depends on {name}")


def no_rope(name: str, length: int) -> tuple[Tensor, Tensor]:
    """Refuse a mask that depends on a rotary embedding."""
    raise UnsupportedModel(f"attention whose mask depends on {name}")


def _by_element(target: str) -> bool:
    packet = getattr(torch.ops.aten, target.removeprefix("aten."), None)
    if target in (*_BY_ELEMENT, *_FLAGS) or packet is None:
        return packet is not None
    return any(torch.Tag.pointwise in getattr(packet, name).tags for name in packet.overloads())


def _same_place(shape: tuple[int | str, ...], before: tuple[int | str, ...], dim: int) -> int | None:
    """The dimension of the text that lies at this one before a view; None where it was joined with others."""
    place = _before(shape, dim)
    return next(
        (one for one, size in enumerate(before) if size == SEQUENCE and _before(before, one) == place), None
    )


def _before(shape: tuple[int | str, ...], dim: int) -> tuple[int, int]:
    sizes = shape[:dim]
    return sizes.count(SEQUENCE), math.prod(size for size in sizes if isinstance(size, int))
