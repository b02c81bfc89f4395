"""What nothing else beats: the Pareto front of things with several figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
# Figures of a thing, each the better the smaller it is.
Costs = Callable[[T], tuple[float, ...]]


def dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    """Whether something is as good in every figure, and better in one; smaller is better."""
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def pareto_front(things: Sequence[T], costs: Costs[T]) -> list[T]:
    """Those that none of the others dominates, in the order of their costs; of equal ones the first."""
    priced: dict[tuple[float, ...], T] = {}
    for thing in things:
        priced.setdefault(costs(thing), thing)
    return [priced[cost] for cost in sorted(priced) if not any(dominates(other, cost) for other in priced)]
