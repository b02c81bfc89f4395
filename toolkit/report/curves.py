"""The time of each decode step, pooled over repetitions and thinned for drawing."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa

from toolkit.store import tables
from toolkit.store.store import Store

Key = TypeVar("Key")

# A curve is drawn a few hundred pixels wide: more points would only make the page heavier.
_POINTS = 64
# Runs read in one statement: bounds memory, and the number of bound values that databases take.
_RUNS_AT_A_TIME = 200


@dataclass(frozen=True)
class Curve:
    """Points of a curve: the first decode step (from 1) that a point stands for, and its time in ms."""

    steps: tuple[int, ...]
    ms: tuple[float, ...]


def read_curves(store: Store, run_ids: Mapping[Key, Sequence[str]]) -> dict[Key, Curve]:
    """The curve of each set of runs; sets of which no decode step was timed are left out."""
    owner = {run_id: key for key, ids in run_ids.items() for run_id in ids}
    repetitions: dict[Key, list[list[int]]] = defaultdict(list)
    for run_id, decode_ns in _measured(store, list(owner)):
        if decode_ns:
            repetitions[owner[run_id]].append(decode_ns)
    return {key: curve(steps) for key, steps in repetitions.items()}


def curve(repetitions: Sequence[Sequence[int]]) -> Curve:
    """The median over the repetitions at each step, then over equal stretches of steps.

    Args:
        repetitions: nanoseconds of each decode step; at least one, none empty. Steps that not all
            repetitions have are left out.
    """
    length = min(map(len, repetitions))
    per_step = [statistics.median(steps[index] for steps in repetitions) / 1e6 for index in range(length)]
    stretch = -(-length // _POINTS)
    starts = range(0, length, stretch)
    return Curve(
        steps=tuple(start + 1 for start in starts),
        ms=tuple(statistics.median(per_step[start : start + stretch]) for start in starts),
    )


def _measured(store: Store, run_ids: Sequence[str]) -> Iterator[tuple[str, list[int]]]:
    columns = tables.repetitions.c
    query = sa.select(columns.run_id, columns.decode_ns).where(columns.warmup.is_(False))
    with store.reading() as connection:
        for first in range(0, len(run_ids), _RUNS_AT_A_TIME):
            some = query.where(columns.run_id.in_(run_ids[first : first + _RUNS_AT_A_TIME]))
            for row in connection.execute(some):
                yield row.run_id, row.decode_ns
