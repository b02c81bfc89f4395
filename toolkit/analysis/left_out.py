"""Runs that no comparison takes in, because they are not ok: they are counted, not passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from toolkit.analysis.condition_key import KEY_COLUMNS, ConditionKey, read_key
from toolkit.store import tables
from toolkit.store.filters import Filter
from toolkit.store.query import matching
from toolkit.store.rows import Status
from toolkit.store.store import Store


@dataclass(frozen=True)
class LeftOut:
    """A run that is not ok.

    Attributes:
        run_id: it.
        key: its conditions.
        status: what became of it.
    """

    run_id: str
    key: ConditionKey
    status: Status


def load_left_out(store: Store, where: Filter | str | None = None) -> tuple[LeftOut, ...]:
    """The runs that pass a filter and are not ok, newest first.

    Raises:
        BadFilter: a filter that cannot be read.
    """
    runs = tables.runs
    query = (
        sa.select(runs.c.id, runs.c.status, *KEY_COLUMNS)
        .select_from(runs.join(tables.devices).join(tables.artifacts))
        .where(runs.c.id.in_(matching(where).where(runs.c.status != "ok")))
        .order_by(runs.c.created_unix_ns.desc(), runs.c.id)
    )
    with store.reading() as connection:
        return tuple(
            LeftOut(row[runs.c.id], read_key(row), row[runs.c.status])
            for row in connection.execute(query).mappings()
        )


def left_out_words(left: Sequence[LeftOut]) -> str:
    """How many there are, and why: "3 runs were left out: 2 throttled, 1 device_lost"."""
    counted = Counter(one.status for one in left).most_common()
    why = ", ".join(f"{count} {status}" for status, count in counted)
    return f"{len(left)} run{'s were' if len(left) != 1 else ' was'} left out: {why}"
