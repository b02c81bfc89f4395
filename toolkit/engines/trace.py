"""What an engine's trace says: its calls in order, and the operators of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TracedOperator:
    """One operator of a call.

    Attributes:
        name: the node's, which holds the path of the model's module.
        kind: the operator.
        ns: time it took.
    """

    name: str
    kind: str
    ns: int


@dataclass(frozen=True)
class TracedCall:
    """One call of the model.

    Attributes:
        ns: time it took, the engine's own work between operators included.
        operators: in order.
    """

    ns: int
    operators: tuple[TracedOperator, ...]
