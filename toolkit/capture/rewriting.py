"""One operation of a graph, and what takes its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from toolkit.capture.graph import SEQUENCE, DecoderGraph, Op, Ref

Shape = tuple[int | str, ...]


class Rewriting:
    """One operation and what takes its place; the last operation added takes its name."""

    def __init__(self, graph: DecoderGraph, done: dict[str, Op], op: Op) -> None:
        self.graph = graph
        self.op = op
        self._done = done

    @property
    def shape(self) -> Shape:
        """Shape of what the operation yields."""
        assert self.op.shape is not None, f"{self.op} yields one tensor"
        return self.op.shape

    def arg(self, index: int, default: Any = None, name: str = "") -> Any:
        """An argument by its place or its name."""
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
        """Append another shape of the same values."""
        return self.add("aten.view", (ref, shape), shape)

    def slice(self, ref: Ref, dim: int, start: int, stop: int) -> Op:
        """Append a slice of one dimension."""
        before = self.shape_of(ref)
        shape = (*before[:dim], stop - start, *before[dim + 1 :])
        return self.add("aten.slice", (ref, dim, start, stop), shape)

    def cat(self, refs: Sequence[Ref], dim: int, shape: Shape) -> Op:
        """Append a join."""
        return self.add("aten.cat", (tuple(refs), dim), shape)

    def done(self, ref: Ref) -> Op | None:
        """What an operand has become."""
        return self._done.get(ref.name)

    def alias(self, ref: Ref) -> Op:
        """Append the very same values."""
        return self.add("aten.alias", (ref,), self.shape)


# Adds what takes an operation's place and returns the last of it; None leaves the operation as it is.
Rule = Callable[[Rewriting], Op | None]
