"""Run parts of a captured graph in torch, on real numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from toolkit.capture.graph import ODD, SEQUENCE, DecoderGraph, Op, Ref, is_odd, references

# Where a tensor lies and how it is laid out: the numbers do not depend on it.
_PLACEMENT = ("device", "layout", "pin_memory", "memory_format", "non_blocking")


class Interpreter:
    """Values of a graph's operations for one sequence length.

    Args:
        graph: captured.
        length: stands for the sequence length.
        read: yields parameters; float32.
        rope: cosines and sines [1, length, dim] of the rotary embedding of that name.
    """

    def __init__(
        self,
        graph: DecoderGraph,
        length: int,
        *,
        read: Callable[[str], Tensor],
        rope: Callable[[str, int], tuple[Tensor, Tensor]],
    ) -> None:
        self._graph = graph
        self._length = length
        self._read = read
        self._rope = rope
        self._values: dict[str, Any] = {"position_ids": torch.arange(length)[None]}

    def assume(self, name: str, value: Tensor) -> None:
        """Give an operation a value that is not computed."""
        self._values[name] = value

    def value(self, name: str) -> Any:
        """The value of an operation, of a parameter, of a constant or of the positions."""
        waiting = [name]
        while waiting:
            current = waiting[-1]
            op = self._graph.by_name.get(current)
            missing = [] if op is None else [ref for ref in references(op) if ref not in self._values]
            if current in self._values or missing:
                waiting = waiting[:-1] if current in self._values else [*waiting, *missing]
                continue
            self._values[current] = self._leaf(current) if op is None else self._run(op)
            waiting.pop()
        return self._values[name]

    def _leaf(self, name: str) -> Tensor:
        if name in self._graph.constants:
            shape, numbers = self._graph.constants[name]
            return torch.as_tensor(numbers).reshape(shape)
        return self._read(name)

    def _run(self, op: Op) -> Any:
        if op.target == "slm.rope_table":
            return self._rope(op.args[1], self._length)
        if op.target == "slm.rms_norm":
            hidden, weight, eps, offset = (self._operand(arg) for arg in op.args)
            scaled = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + eps)
            return scaled if weight is None else scaled * (weight + float(offset))
        args = [self._operand(arg) for arg in op.args]
        if op.target == "getitem":
            return operator.getitem(*args)
        kwargs = {key: self._operand(value) for key, value in op.kwargs.items() if key not in _PLACEMENT}
        if op.target == "aten.to" and len(args) > 1 and isinstance(args[1], str):
            # To another device, and perhaps another type.
            return args[0].to(next((arg for arg in args[2:] if isinstance(arg, torch.dtype)), args[0].dtype))
        if op.target in ("aten.view", "aten.reshape"):
            return torch.reshape(args[0], args[1])
        if op.target == "aten.expand":
            return torch.broadcast_to(args[0], args[1])
        function = getattr(torch.ops.aten, op.target.removeprefix("aten."))
        return function(*args, **kwargs)

    def _operand(self, arg: Any) -> Any:
        if isinstance(arg, Ref):
            return self._values[arg.name]
        if isinstance(arg, tuple):
            return [self._operand(item) for item in arg]
        if arg == SEQUENCE:
            return self._length
        if is_odd(arg):
            return _evaluated(arg.removeprefix(ODD), self._length)
        if isinstance(arg, str) and isinstance(getattr(torch, arg, None), torch.dtype):
            return getattr(torch, arg)
        return arg


def _evaluated(expression: str, length: int) -> int:
    """A size as torch writes it, ``256 - Max(0, 256 - s77)`` say."""
    import sympy  # type: ignore[import-untyped]  # torch brings it
    from torch.utils._sympy import functions

    parsed = sympy.sympify(expression, locals=vars(functions))
    return int(parsed.subs(dict.fromkeys(parsed.free_symbols, length)))
