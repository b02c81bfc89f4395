"""Selecting runs by filter, order and number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql import visitors

from toolkit.store import tables
from toolkit.store.columns import sort_order
from toolkit.store.filters import Filter, parse_filter


def order_by(sort: Sequence[str]) -> list[sa.ColumnElement[Any]]:
    """The order of a listing: by the columns in ``sort``, then newest first; never ambiguous.

    Raises:
        BadFilter: an unknown column.
    """
    return [*sort_order(sort), tables.runs.c.created_unix_ns.desc(), tables.runs.c.id]


def matching(
    where: Filter | str | None, order: Sequence[sa.ColumnElement[Any]] = (), limit: int | None = None
) -> sa.Select[Any]:
    """``SELECT id FROM runs``: those that pass a filter, in an order, at most so many.

    Devices and artifacts are joined only where the filter or the order mentions them.

    Raises:
        BadFilter: a filter that cannot be read.
    """
    condition = parse_filter(where) if isinstance(where, str) else where
    clauses = [*order, *([] if condition is None else [condition])]
    mentioned = {
        element.table
        for clause in clauses
        for element in visitors.iterate(clause)
        if isinstance(element, sa.Column)
    }
    source: sa.FromClause = tables.runs
    for table in (tables.devices, tables.artifacts):
        if table in mentioned:
            source = source.join(table)
    query = sa.select(tables.runs.c.id).select_from(source).order_by(*order).limit(limit)
    return query if condition is None else query.where(condition)
