"""Evaluations in the store: written whole, read by task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from toolkit.store import tables
from toolkit.store.row_columns import column_names, row_of, values_of
from toolkit.store.rows import Evaluation, Score, ScoredItem, StoredEvaluation
from toolkit.store.store import Store


def add_evaluation(store: Store, stored: StoredEvaluation, items: Sequence[ScoredItem]) -> None:
    """Write an evaluation with its scores and items in one transaction."""
    evaluation = stored.evaluation
    with store.writing() as connection:
        connection.execute(sa.insert(tables.evaluations), values_of(evaluation))
        for table, rows in ((tables.scores, stored.scores), (tables.scored_items, items)):
            if rows:
                values = [{"evaluation_id": evaluation.id, **values_of(row)} for row in rows]
                connection.execute(sa.insert(table), values)


def evaluations_of(
    store: Store, task: str | None = None, identities: Iterable[str] | None = None
) -> list[StoredEvaluation]:
    """Evaluations with their scores, the latest first.

    Args:
        store: where they are.
        task: only those of this task, and its scores alone; None for all.
        identities: only these; None for all.
    """
    scores = tables.scores
    chosen = sa.select(scores.c.evaluation_id, *_columns(scores, Score)).order_by(scores.c.id)
    if task is not None:
        chosen = chosen.where(scores.c.task == task)
    evaluations = sa.select(*_columns(tables.evaluations, Evaluation)).order_by(
        tables.evaluations.c.created_unix_ns.desc(), tables.evaluations.c.id
    )
    by_evaluation: dict[str, list[Score]] = defaultdict(list)
    with store.reading() as connection:
        for row in connection.execute(chosen).mappings():
            by_evaluation[row["evaluation_id"]].append(row_of(Score, row, ""))
        rows = [row_of(Evaluation, row, "") for row in connection.execute(evaluations).mappings()]
    wanted = None if identities is None else set(identities)
    return [
        StoredEvaluation(row, tuple(by_evaluation[row.id]))
        for row in rows
        if row.id in by_evaluation and (wanted is None or row.id in wanted)
    ]


def known_evaluations(store: Store, identities: Iterable[str]) -> set[str]:
    """Those of some evaluations that the store has."""
    column = tables.evaluations.c.id
    wanted = list(dict.fromkeys(identities))
    found: set[str] = set()
    with store.reading() as connection:
        # Databases take so many bound values in one statement and not many more.
        for first in range(0, len(wanted), 500):
            some = wanted[first : first + 500]
            found |= set(connection.scalars(sa.select(column).where(column.in_(some))))
    return found


def scores_of(store: Store, identity: str) -> list[Score]:
    """The scores of an evaluation."""
    scores = tables.scores
    query = (
        sa.select(*_columns(scores, Score)).where(scores.c.evaluation_id == identity).order_by(scores.c.id)
    )
    with store.reading() as connection:
        return [row_of(Score, row, "") for row in connection.execute(query).mappings()]


def items_of(store: Store, evaluation_id: str, task: str, shots: int) -> dict[str, dict[str, float]]:
    """An evaluation's items of a task: metrics by the item's key; a group has none of its own."""
    items = tables.scored_items.c
    query = sa.select(items.key, items.metrics).where(
        items.evaluation_id == evaluation_id, items.task == task, items.shots == shots
    )
    with store.reading() as connection:
        return {key: dict(metrics) for key, metrics in connection.execute(query)}


def items_of_group(store: Store, evaluation_id: str, group: str, shots: int) -> dict[str, dict[str, float]]:
    """The items of an evaluation's tasks whose names begin with a group's: metrics by task and key."""
    items = tables.scored_items.c
    query = sa.select(items.task, items.key, items.metrics).where(
        items.evaluation_id == evaluation_id,
        items.task.startswith(f"{group}_", autoescape=True),
        items.shots == shots,
    )
    with store.reading() as connection:
        return {f"{task} {key}": dict(metrics) for task, key, metrics in connection.execute(query)}


def items_beginning(store: Store, evaluation_id: str, beginning: str) -> list[ScoredItem]:
    """The items of an evaluation whose task's name begins so."""
    items = tables.scored_items
    query = sa.select(*_columns(items, ScoredItem)).where(
        items.c.evaluation_id == evaluation_id, items.c.task.startswith(beginning, autoescape=True)
    )
    with store.reading() as connection:
        return [row_of(ScoredItem, row, "") for row in connection.execute(query).mappings()]


def scored_tasks(store: Store) -> list[str]:
    """Names of the tasks that any evaluation has a score of."""
    with store.reading() as connection:
        return sorted(connection.scalars(sa.select(tables.scores.c.task).distinct()))


def _columns(table: sa.Table, row: Any) -> list[sa.ColumnElement[Any]]:
    return [table.c[name].label(name) for name in column_names(row)]
