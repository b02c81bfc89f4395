"""The results store: add whole runs, read them back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from toolkit.errors import RunNotFound, StoreError
from toolkit.store import tables
from toolkit.store.database import connect, stored_schema, transaction
from toolkit.store.filters import Filter
from toolkit.store.known_devices import take_over
from toolkit.store.query import matching, order_by
from toolkit.store.reading import measurements_of, summaries, summaries_of, summary, whole_runs
from toolkit.store.row_columns import values_of
from toolkit.store.rows import RunSummary, Status, StoredRun

# The link was cut: the runner may have ended well all the same, and its result may come later.
UNFINISHED: Status = "device_lost"


def open_store(url: str, *, busy_timeout_s: float = 10.0) -> Store:
    """Open the results database, creating or migrating it when needed.

    Args:
        url: an SQLAlchemy URL.
        busy_timeout_s: how long to wait for another process's write lock.

    Raises:
        StoreError: not a results database, written by a newer toolkit, or unreachable.
        StoreLocked: another process held the lock for longer than ``busy_timeout_s``.
    """
    engine = connect(url, busy_timeout_s)
    try:
        with transaction(engine, writes=False) as connection:
            schema = stored_schema(connection)
        if schema != tables.SCHEMA:
            from toolkit.store.migrating import migrate

            migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return Store(engine)


class Store:
    """An open results database. Use it as a context manager, or call :meth:`close`.

    Attributes:
        engine: SQLAlchemy's, for this package; others use the methods.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def reading(self) -> AbstractContextManager[sa.Connection]:
        """A connection in one read transaction, for the queries of this package's other modules."""
        return transaction(self.engine, writes=False)

    def writing(self) -> AbstractContextManager[sa.Connection]:
        """A connection in one write transaction; on SQLite it holds the write lock from the start."""
        return transaction(self.engine, writes=True)

    def add_run(self, stored: StoredRun, manifest: Mapping[str, Any], tags: Sequence[str] = ()) -> bool:
        """Write a run with its device, artifact, samples and measurements in one transaction.

        A run that is already there is left alone, except one that was given up (``device_lost``) and
        whose result has now been brought back from the device: that one is replaced.

        Args:
            stored: the whole run.
            manifest: the artifact's manifest as JSON data.
            tags: given to the run when it is written; see :func:`toolkit.store.tags.check_tag`.

        Returns:
            Whether anything was written.
        """
        with self.writing() as connection:
            written = write_run(connection, stored, manifest)
            if written:
                add_tags(connection, stored.run.id, tags)
                take_over(connection, stored.device)
        return written

    def name_device(self, identity: str, name: str | None) -> int:
        """Show all runs of a device with this name, or with none; returns how many devices that were.

        Args:
            identity: the hardware's serial number, or the only name of a device that has none.
            name: what to call it.
        """
        devices = tables.devices
        of = sa.func.coalesce(devices.c.identity, devices.c.serial) == identity
        with self.writing() as connection:
            return connection.execute(sa.update(devices).where(of).values(name=name)).rowcount

    def list_runs(
        self, *, where: Filter | str | None = None, sort: Sequence[str] = (), limit: int | None = None
    ) -> list[RunSummary]:
        """Runs that pass a filter.

        Args:
            where: a filter as :mod:`toolkit.store.filters` reads it, or one it has made.
            sort: columns, the first one deciding, with a leading ``-`` for descending; newest first if none.
            limit: at most this many.

        Raises:
            BadFilter: a filter or sort order that cannot be read.
        """
        order = order_by(sort)
        # Choose first, read whole rows then: sorting carries ids around, not sixty columns.
        chosen = matching(where, order, limit).subquery()
        query = summaries().join(chosen, chosen.c.id == tables.runs.c.id).order_by(*order)
        with self.reading() as connection:
            listed = [summary(row) for row in connection.execute(query).mappings()]
            measured = measurements_of(connection, sa.select(chosen.c.id))
        return [replace(row, measurements=tuple(measured.get(row.run.id, ()))) for row in listed]

    def run_ids(self, where: Filter | str | None = None) -> list[str]:
        """The ids of all runs that pass a filter, newest first.

        Raises:
            BadFilter: a filter that cannot be read.
        """
        with self.reading() as connection:
            return list(connection.scalars(matching(where, order_by(()))))

    def count_runs(self, where: Filter | str | None = None) -> int:
        """How many runs pass a filter.

        Raises:
            BadFilter: a filter that cannot be read.
        """
        with self.reading() as connection:
            counted: int = connection.execute(
                sa.select(sa.func.count()).select_from(matching(where).subquery())
            ).scalar_one()
        return counted

    def find_run_id(self, prefix: str) -> str:
        """The full id of the one run whose id starts with ``prefix``.

        Raises:
            RunNotFound: no run, or several.
        """
        column = tables.runs.c.id
        query = (
            sa.select(column)
            .where(column.startswith(prefix.lower(), autoescape=True))
            .order_by(column)
            .limit(6)
        )
        with self.reading() as connection:
            found: list[str] = list(connection.scalars(query))
        if len(found) == 1:
            return found[0]
        if not found or not prefix:
            raise RunNotFound("no such run", subject=f"run {prefix!r}", next_step="See: slm results list")
        raise RunNotFound(
            f"matches several runs: {', '.join(found[:5])}{' ...' if len(found) > 5 else ''}",
            subject=f"run {prefix!r}",
            next_step="Give more characters of the id.",
        )

    def get_run(self, run_id: str) -> StoredRun:
        """A whole run by its full id.

        Raises:
            RunNotFound: no such run.
        """
        return self.get_runs([run_id])[0]

    def get_runs(self, run_ids: Sequence[str]) -> list[StoredRun]:
        """Whole runs by their full ids, in that order; all read in one transaction.

        Raises:
            RunNotFound: one of them does not exist.
        """
        return list(self.iterate_runs(run_ids))

    def iterate_runs(self, run_ids: Sequence[str]) -> Iterator[StoredRun]:
        """Like :meth:`get_runs`, but some at a time: for more runs than memory holds."""
        with self.reading() as connection:
            yield from whole_runs(connection, run_ids)

    def iterate_summaries(self, run_ids: Sequence[str]) -> Iterator[RunSummary]:
        """Runs without their samples, by full id, in that order.

        Raises:
            RunNotFound: one of them does not exist.
        """
        with self.reading() as connection:
            yield from summaries_of(connection, run_ids)

    def manifest(self, artifact_sha256: str) -> dict[str, Any]:
        """The manifest of a stored artifact, as JSON data.

        Raises:
            StoreError: no run of such an artifact was ever stored.
        """
        artifacts = tables.artifacts.c
        with self.reading() as connection:
            found: dict[str, Any] | None = connection.scalar(
                sa.select(artifacts.manifest).where(artifacts.sha256 == artifact_sha256)
            )
        if found is None:
            raise StoreError(
                "no such artifact in the store",
                subject=artifact_sha256,
                next_step="`slm results list` shows whose runs there are.",
            )
        return found


def write_run(connection: sa.Connection, stored: StoredRun, manifest: Mapping[str, Any]) -> bool:
    """What :meth:`Store.add_run` does, inside a transaction that may write more."""
    run = stored.run
    known = connection.scalar(sa.select(tables.runs.c.status).where(tables.runs.c.id == run.id))
    if known is not None:
        if known != UNFINISHED or run.status == UNFINISHED:
            return False
        _delete_measured(connection, run.id)
    insert_if_absent(connection, tables.devices, values_of(stored.device))
    insert_if_absent(connection, tables.artifacts, {**values_of(stored.artifact), "manifest": dict(manifest)})
    if known is not None:
        # Updated, not replaced, so that its tags stay.
        connection.execute(sa.update(tables.runs).where(tables.runs.c.id == run.id).values(values_of(run)))
    elif not _inserted(connection, tables.runs, values_of(run)):
        return False
    if stored.repetitions:
        rows = [{"run_id": run.id, **values_of(row)} for row in stored.repetitions]
        connection.execute(sa.insert(tables.repetitions), rows)
    if stored.conditions:
        rows = [{"run_id": run.id, **values_of(row)} for row in stored.conditions]
        connection.execute(sa.insert(tables.conditions), rows)
    if stored.measurements:
        rows = [{"run_id": run.id, **values_of(row)} for row in stored.measurements]
        connection.execute(sa.insert(tables.measurements), rows)
    return True


def add_tags(connection: sa.Connection, run_id: str, tags: Sequence[str]) -> None:
    """Give one run tags; those that it has are left alone."""
    tagged = tables.tags.c
    have = set(connection.scalars(sa.select(tagged.tag).where(tagged.run_id == run_id)))
    rows = [{"run_id": run_id, "tag": tag} for tag in dict.fromkeys(tags) if tag not in have]
    if rows:
        connection.execute(sa.insert(tables.tags), rows)


def _delete_measured(connection: sa.Connection, run_id: str) -> None:
    for column in (tables.repetitions.c.run_id, tables.conditions.c.run_id, tables.measurements.c.run_id):
        connection.execute(sa.delete(column.table).where(column == run_id))


def insert_if_absent(connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> None:
    """Insert a device or an artifact unless one of its key is there."""
    [key] = table.primary_key
    if connection.scalar(sa.select(key).where(key == values[key.name])) is None:
        _inserted(connection, table, values)


def _inserted(connection: sa.Connection, table: sa.Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one of its key is there; on a server another client may just have written it."""
    try:
        with connection.begin_nested():
            connection.execute(sa.insert(table), values)
    except sa.exc.IntegrityError:
        return False
    return True
