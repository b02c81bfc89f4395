"""What an engine's trace says: its calls in order, and the operators of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

# What an operator does, whatever its engine calls it: the survey's Fig. 10b adds times up by such kinds.
OperatorKind = Literal["products", "attention", "norms", "elementwise", "copies", "quantizing", "other"]
OPERATOR_KINDS: tuple[OperatorKind, ...] = get_args(OperatorKind)


@dataclass(frozen=True)
class TracedOperator:
    """One operator of a call.

    Attributes:
        name: the node's, which holds the path of the model's module.
        operator: what the engine calls it.
        kind: what it does; "other" is also what its engine's names do not tell.
        ns: time it took.
    """

    name: str
    operator: str
    kind: OperatorKind
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


def kinds_by(words: Mapping[OperatorKind, str]) -> Callable[[str], OperatorKind]:
    """A function from an engine's name of an operator to its kind.

    Args:
        words: regular expressions of what stands in such names, in any case; the first that fits decides.
    """
    patterns = {kind: re.compile(word, re.IGNORECASE) for kind, word in words.items()}

    def kind_of(operator: str) -> OperatorKind:
        return next((kind for kind, pattern in patterns.items() if pattern.search(operator)), "other")

    return kind_of
