"""Which operator and which of the model's modules each instruction of a program stands for."""

from __future__ import annotations

import json
from collections.abc import Sequence

# Of the program's named data; the runner copies it into its trace.
OPERATOR_TABLE = "slm.operators"


class OperatorTable:
    """One entry per instruction, in the order of their numbers.

    Attributes:
        module: path of the model's module whose instructions are being added.
    """

    def __init__(self) -> None:
        self.module = ""
        self._modules: dict[str, int] = {}
        self._instructions: list[object] = []

    def add(self, operator: str) -> None:
        """A kernel call or a jump."""
        self._instructions.append([operator, self._number(self.module)])

    def add_delegate(self, nodes: Sequence[tuple[str, str]]) -> None:
        """A delegate: operator and module of each of its nodes."""
        self._instructions.append([[kind, self._number(module)] for kind, module in nodes])

    def encoded(self) -> bytes:
        """JSON on one line."""
        content = {"modules": list(self._modules), "instructions": self._instructions}
        return json.dumps(content, separators=(",", ":")).encode()

    def _number(self, module: str) -> int:
        return self._modules.setdefault(module, len(self._modules))
