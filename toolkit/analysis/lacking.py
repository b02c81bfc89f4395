"""Figures that were asked for by name and that a baseline, or some of its conditions, lacks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from toolkit.analysis.compared_figures import Figure
from toolkit.analysis.condition_key import KEY_COLUMNS, ConditionKey, read_key, without
from toolkit.analysis.groups import Group
from toolkit.store import tables
from toolkit.store.filters import Filter
from toolkit.store.llama_bench_import import PROTOCOL
from toolkit.store.query import matching
from toolkit.store.store import Store


@dataclass(frozen=True)
class Lacking:
    """A figure that cannot be checked, because the baseline does not have it.

    Attributes:
        figure: it.
        key: the conditions whose runs lack it; None for all of the baseline.
    """

    figure: Figure
    key: ConditionKey | None = None


def lacking_in(
    store: Store, baseline: Filter, groups: Mapping[Figure, Sequence[Group]], allowed: Sequence[str]
) -> tuple[Lacking, ...]:
    """What runs of the baseline lack: a figure as a whole, or under conditions that could have it.

    Args:
        store: where the runs are.
        baseline: its runs.
        groups: of the baseline, by the figures that were asked for.
        allowed: parts of the condition key that may differ: conditions that differ in these alone are one.
    """
    keys = _conditions(store, baseline)
    found = []
    for figure, some in groups.items():
        if not some:
            found.append(Lacking(figure))
            continue
        having = {without(group.key, allowed) for group in some}
        lonely = {without(key, allowed): key for key in keys if _may_have(figure, key)}
        found += [Lacking(figure, key) for one, key in lonely.items() if one not in having]
    return tuple(found)


def _may_have(figure: Figure, key: ConditionKey) -> bool:
    """Whether runs of these conditions time what the figure is of."""
    if key.protocol == PROTOCOL and figure.of_repetition is None and figure.phase != "combined":
        # llama-bench times tokens, and nothing of the process or the battery.
        return False
    timed = {"prefill": key.prompt_tokens > 0, "decode": key.generate_tokens > 1}
    if key.protocol == PROTOCOL and all(timed.values()):
        # Of prompt and generation together llama-bench has one time, and neither's own.
        timed = {"combined": True}
    return figure.phase is None or timed.get(figure.phase, False)


def _conditions(store: Store, where: Filter) -> list[ConditionKey]:
    """Those of runs that are ok, the newest first."""
    runs = tables.runs
    query = (
        sa.select(*KEY_COLUMNS)
        .select_from(runs.join(tables.devices).join(tables.artifacts))
        .where(runs.c.id.in_(matching(where).where(runs.c.status == "ok")))
        .order_by(runs.c.created_unix_ns.desc(), runs.c.id)
    )
    with store.reading() as connection:
        return list(dict.fromkeys(read_key(row) for row in connection.execute(query).mappings()))
