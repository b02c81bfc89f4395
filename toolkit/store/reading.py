"""Rows of the database as the dataclasses of :mod:`toolkit.store.rows`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa

from toolkit.errors import RunNotFound
from toolkit.store import tables
from toolkit.store.row_columns import column_names, row_of
from toolkit.store.rows import (
    Artifact,
    Condition,
    Device,
    Measurement,
    Repetition,
    Run,
    RunSummary,
    StoredRun,
)

Row = TypeVar("Row", Artifact, Condition, Device, Measurement, Repetition, Run)

# Whole runs in memory at once; also of bound values in one statement.
_RUNS_AT_A_TIME = 200


def _columns(table: sa.Table, row: type[Row]) -> list[sa.ColumnElement[Any]]:
    """The table's columns that make up ``row``, labelled so that joined tables do not collide."""
    return [table.c[name].label(f"{table.name}.{name}") for name in column_names(row)]


def _read(row: type[Row], table: sa.Table, values: Mapping[Any, Any]) -> Row:
    return row_of(row, values, f"{table.name}.")


def summaries() -> sa.Select[Any]:
    """Runs with their devices and artifacts."""
    return sa.select(
        *_columns(tables.runs, Run),
        *_columns(tables.devices, Device),
        *_columns(tables.artifacts, Artifact),
    ).select_from(tables.runs.join(tables.devices).join(tables.artifacts))


def summary(values: Mapping[Any, Any]) -> RunSummary:
    """One row of :func:`summaries`."""
    return RunSummary(
        run=_read(Run, tables.runs, values),
        device=_read(Device, tables.devices, values),
        artifact=_read(Artifact, tables.artifacts, values),
    )


def summaries_of(connection: sa.Connection, run_ids: Sequence[str]) -> Iterator[RunSummary]:
    """Runs by their full ids, in that order, without their samples.

    Raises:
        RunNotFound: one of them does not exist.
    """
    for some in _batches(run_ids):
        rows = connection.execute(summaries().where(tables.runs.c.id.in_(some))).mappings()
        found = {read.run.id: read for read in map(summary, rows)}
        measured = measurements_of(connection, some)
        for run_id in some:
            if run_id not in found:
                raise RunNotFound("no such run", subject=f"run {run_id!r}", next_step="See: slm results list")
            yield replace(found[run_id], measurements=tuple(measured.get(run_id, ())))


def whole_runs(connection: sa.Connection, run_ids: Sequence[str]) -> Iterator[StoredRun]:
    """Whole runs by their full ids, in that order.

    Raises:
        RunNotFound: one of them does not exist.
    """
    for some in _batches(run_ids):
        repetitions = _of_runs(connection, Repetition, tables.repetitions, tables.repetitions.c.index, some)
        conditions = _of_runs(connection, Condition, tables.conditions, tables.conditions.c.id, some)
        measured = _of_runs(connection, Measurement, tables.measurements, tables.measurements.c.id, some)
        for found in summaries_of(connection, some):
            yield StoredRun(
                run=found.run,
                device=found.device,
                artifact=found.artifact,
                measurements=tuple(measured[found.run.id]),
                repetitions=tuple(repetitions[found.run.id]),
                conditions=tuple(conditions[found.run.id]),
            )


def measurements_of(
    connection: sa.Connection, run_ids: Sequence[str] | sa.Select[Any]
) -> dict[str, list[Measurement]]:
    """The measurements of runs as a whole, not of their repetitions, by run."""
    table = tables.measurements
    return _of_runs(connection, Measurement, table, table.c.id, run_ids, only=table.c.repetition.is_(None))


def _batches(run_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(run_ids), _RUNS_AT_A_TIME):
        yield run_ids[first : first + _RUNS_AT_A_TIME]


def _of_runs(
    connection: sa.Connection,
    row: type[Row],
    table: sa.Table,
    order: sa.Column[Any],
    run_ids: Sequence[str] | sa.Select[Any],
    only: sa.ColumnElement[bool] | None = None,
) -> dict[str, list[Row]]:
    """The rows of a table that belong to some runs, by run."""
    owner = table.c.run_id
    query = sa.select(owner, *_columns(table, row)).where(owner.in_(run_ids)).order_by(owner, order)
    if only is not None:
        query = query.where(only)
    found: dict[str, list[Row]] = defaultdict(list)
    for values in connection.execute(query).mappings():
        found[values[owner]].append(_read(row, table, values))
    return found
