"""Taking runs out of the store: by id, or all that one import brought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from toolkit.errors import RunNotFound
from toolkit.store import tables
from toolkit.store.store import Store

_RUNS_AT_A_TIME = 500


@dataclass(frozen=True)
class Import:
    """An import, the file it came from, when, and how many of its runs are still there."""

    id: str
    file: str
    unix_ns: int
    runs: int


def delete_runs(store: Store, run_ids: Sequence[str]) -> int:
    """Delete runs with everything that is theirs, in one transaction; returns how many there were.

    Devices and artifacts that no run has any more go with them.
    """
    deleted = 0
    with store.writing() as connection:
        for first in range(0, len(run_ids), _RUNS_AT_A_TIME):
            some = run_ids[first : first + _RUNS_AT_A_TIME]
            for table in (
                tables.repetitions,
                tables.conditions,
                tables.measurements,
                tables.tags,
                tables.imports,
            ):
                connection.execute(sa.delete(table).where(table.c.run_id.in_(some)))
            deleted += connection.execute(sa.delete(tables.runs).where(tables.runs.c.id.in_(some))).rowcount
        for table, key, used in (
            (tables.devices, tables.devices.c.key, tables.runs.c.device_key),
            (tables.artifacts, tables.artifacts.c.sha256, tables.runs.c.artifact_sha256),
        ):
            connection.execute(sa.delete(table).where(key.not_in(sa.select(used))))
    return deleted


def list_imports(store: Store) -> list[Import]:
    """All imports of which runs are left, the latest first."""
    of = tables.imports.c
    query = (
        sa.select(of.import_id, of.file, of.unix_ns, sa.func.count())
        .group_by(of.import_id, of.file, of.unix_ns)
        .order_by(of.unix_ns.desc())
    )
    with store.reading() as connection:
        return [Import(*row) for row in connection.execute(query)]


def undo_import(store: Store, import_id: str) -> int:
    """Delete the runs that an import added; returns how many.

    Raises:
        RunNotFound: no such import, or nothing is left of it.
    """
    with store.reading() as connection:
        found = list(
            connection.scalars(
                sa.select(tables.imports.c.run_id).where(tables.imports.c.import_id == import_id)
            )
        )
    if not found:
        raise RunNotFound(
            "no run of such an import is there",
            subject=f"import {import_id!r}",
            next_step="See: slm results undo-import",
        )
    return delete_runs(store, found)
