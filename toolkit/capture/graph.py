"""The captured decoder as plain data: what both lowerings read and what the capture cache stores.

A graph is a list of operations in execution order. Operands are names of earlier operations, of
parameters, or constants. The sequence length is the one symbolic size; everything else is a number.
Weights are named, never held, so a capture is small and independent of their values.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

SEQUENCE = "S"
"""Stands for the sequence length wherever a size is expected."""
ODD = "?"
"""In front of a size that is neither a number nor the sequence length: an expression of it."""


def is_odd(size: object) -> bool:
    """Whether a size is an expression of the sequence length."""
    return isinstance(size, str) and size.startswith(ODD)


@dataclass(frozen=True)
class Ref:
    """An operand: the result of an operation, a graph input or a parameter, by name."""

    name: str


@dataclass(frozen=True)
class Op:
    """One operation.

    Attributes:
        name: unique in the graph.
        target: operator, e.g. ``aten.linear``, ``slm.attention``, ``getitem``.
        args: operands in the operator's order: Ref, number, string, None, or (nested) tuples of these.
        kwargs: named operands.
        shape: of the result, with SEQUENCE for the sequence length; None for several results.
        dtype: of the result, e.g. ``float32``; None for several results.
        module: path of the model's module that it belongs to, e.g. ``model.layers.3.mlp``.
    """

    name: str
    target: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shape: tuple[int | str, ...] | None
    dtype: str | None
    module: str = ""

    def argument(self, index: int, name: str, default: Any) -> Any:
        """An operand by its place or its name."""
        return self.args[index] if len(self.args) > index else self.kwargs.get(name, default)

    def __str__(self) -> str:
        where = f" in {self.module}" if self.module else ""
        return f"{self.target} ({self.name}{where})"


@dataclass(frozen=True)
class DecoderGraph:
    """A captured causal language model: (input_ids [1, S], position_ids [1, S]) -> logits [1, S, vocab].

    Attributes:
        ops: operations in execution order.
        parameters: name in the state dict -> shape.
        constants: small buffers that the graph reads, as nested lists of floats, with their shape.
        output: name of the operation that yields the logits.
    """

    ops: tuple[Op, ...]
    parameters: dict[str, tuple[int, ...]]
    constants: dict[str, tuple[tuple[int, ...], list[float]]]
    output: str
    by_name: dict[str, Op] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {op.name: op for op in self.ops})

    def users(self) -> dict[str, list[Op]]:
        """For every operand name the operations that read it."""
        found: dict[str, list[Op]] = {}
        for op in self.ops:
            for ref in dict.fromkeys(references(op)):
                found.setdefault(ref, []).append(op)
        return found

    def to_json(self) -> str:
        """Serialize for the capture cache."""
        return json.dumps(
            {
                "ops": [
                    {**asdict(op), "args": _encode(op.args), "kwargs": _encode(op.kwargs)} for op in self.ops
                ],
                "parameters": self.parameters,
                "constants": self.constants,
                "output": self.output,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> DecoderGraph:
        """Read what :meth:`to_json` wrote."""
        raw = json.loads(text)
        ops = tuple(
            Op(
                name=op["name"],
                target=op["target"],
                args=_decode(op["args"]),
                kwargs=_decode(op["kwargs"]),
                shape=None if op["shape"] is None else tuple(op["shape"]),
                dtype=op["dtype"],
                module=op["module"],
            )
            for op in raw["ops"]
        )
        parameters = {name: tuple(shape) for name, shape in raw["parameters"].items()}
        constants = {name: (tuple(shape), values) for name, (shape, values) in raw["constants"].items()}
        return cls(ops, parameters, constants, raw["output"])


def references(op: Op) -> list[str]:
    """Names that an operation reads, in order."""
    found: list[str] = []

    def visit(value: Any) -> None:
        if isinstance(value, Ref):
            found.append(value.name)
        elif isinstance(value, tuple | list):
            for item in value:
                visit(item)

    visit(op.args)
    visit(tuple(op.kwargs.values()))
    return found


def _encode(value: Any) -> Any:
    if isinstance(value, Ref):
        return {"ref": value.name}
    if isinstance(value, tuple | list):
        return [_encode(item) for item in value]
    if isinstance(value, dict):
        return {key: _encode(item) for key, item in value.items()}
    return value


def _decode(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"ref"}:
            return Ref(value["ref"])
        return {key: _decode(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_decode(item) for item in value)
    return value
