"""Where each intermediate tensor lies in the one buffer that a method computes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Lifetime:
    """A tensor of ``size_bytes`` in use from instruction ``first`` to instruction ``last``, both included."""

    size_bytes: int
    first: int
    last: int


def aligned(size: int, alignment: int) -> int:
    """The smallest multiple of an alignment that is not below a size or offset, in bytes."""
    return -(-size // alignment) * alignment


def pack(lifetimes: Sequence[Lifetime], *, alignment: int) -> tuple[list[int], int]:
    """Offsets in bytes such that tensors in use at the same time do not overlap, and the bytes needed.

    Largest first, each at the lowest offset that is free during its whole life; within a few percent of the
    optimum on decoders, whose tensors come in few sizes.
    """
    offsets = [0] * len(lifetimes)
    placed: list[int] = []
    total = 0
    for index in sorted(range(len(lifetimes)), key=lambda i: -lifetimes[i].size_bytes):
        mine = lifetimes[index]
        taken = sorted(
            (offsets[other], offsets[other] + lifetimes[other].size_bytes)
            for other in placed
            if lifetimes[other].first <= mine.last and mine.first <= lifetimes[other].last
        )
        offset = 0
        for start, end in taken:
            if offset + mine.size_bytes <= start:
                break
            offset = max(offset, aligned(end, alignment))
        offsets[index] = offset
        placed.append(index)
        total = max(total, offset + mine.size_bytes)
    return offsets, total
