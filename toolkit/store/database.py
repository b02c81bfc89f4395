"""Opening the results database: connection settings, its schema, and errors in the toolkit's words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from toolkit.errors import StoreError, StoreLocked
from toolkit.extras import install_command
from toolkit.store.checked_types import WrongStoredValue

# Execution option of connections that are going to write.
_WRITES = "slm_writes"

# What SQLite says of files that it cannot read, whole or in part.
_DAMAGED = ("malformed", "not a database", "no such table", "no such column", "Could not decode to UTF-8")
# What it says when the system refuses to read or write: of a file that is whole, as far as anybody knows.
_NO_ROOM_OR_DISK = ("disk I/O error", "database or disk is full")
# I/O errors that do tell of damage: a file that is cut, and a file system that is.
_DAMAGED_CODES = ("SQLITE_IOERR_SHORT_READ", "SQLITE_IOERR_CORRUPTFS")
# What tells a row from the others.
_KEYS = ("run_id", "evaluation_id", "id", "key", "sha256", "index", "name")
# Alembic's own table.
_VERSIONS = sa.table("alembic_version", sa.column("version_num", sa.String))


def connect(url: str, busy_timeout_s: float) -> sa.Engine:
    """Make an engine with a bounded wait for locks; SQLite gets WAL (readers never wait for a writer).

    Raises:
        StoreError: a URL that SQLAlchemy does not understand, or a missing database driver.
    """
    try:
        parsed = sa.make_url(url)
        engine = sa.create_engine(parsed, connect_args=_connect_arguments(parsed, busy_timeout_s))
    except (sa.exc.ArgumentError, ModuleNotFoundError, ValueError) as error:
        raise StoreError(
            f"cannot open the results database: {_without_password(str(error))}",
            subject=_without_password(url),
            next_step="Set SLM_STORE_URL to an SQLAlchemy URL, e.g. sqlite:////path/results.db, "
            f"and install the driver that it names; for PostgreSQL: {install_command('postgres')}",
        ) from None
    if engine.dialect.name == "sqlite":
        if parsed.database not in (None, "", ":memory:"):
            _make_parent(Path(str(parsed.database)), url)
        _configure_sqlite(engine, busy_timeout_s)
    return engine


def _without_password(text: str) -> str:
    """Also of a URL that nothing can read."""
    return re.sub(r"(://[^:@/]*):.*@", r"\1:***@", text)


def _connect_arguments(url: sa.URL, busy_timeout_s: float) -> dict[str, Any]:
    if url.get_dialect().name != "postgresql":
        return {}
    options = f"-c lock_timeout={int(busy_timeout_s * 1000)}"
    return {"options": options, "connect_timeout": max(1, int(busy_timeout_s))}


def _make_parent(database: Path, url: str) -> None:
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"its folder cannot be made: {error}", subject=url, next_step="Set SLM_DATA_DIR or SLM_STORE_URL."
        ) from None


def _configure_sqlite(engine: sa.Engine, busy_timeout_s: float) -> None:
    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        # Python's sqlite3 would begin transactions late and commit before DDL; we send BEGIN ourselves.
        connection.isolation_level = None
        connection.execute(f"PRAGMA busy_timeout = {int(busy_timeout_s * 1000)}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA journal_mode = WAL")

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: sa.Connection) -> None:
        # A writer takes the lock at once: upgrading a read transaction later fails without waiting.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def transaction(engine: sa.Engine, *, writes: bool) -> Iterator[sa.Connection]:
    """A connection inside one transaction, committed when the block ends and rolled back when it raises.

    Raises:
        StoreLocked: another process kept the write lock for longer than the busy timeout.
        StoreError: anything else that the database refuses.
    """
    url = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect().execution_options(**{_WRITES: writes}) as connection, connection.begin():
            yield connection
    except sa.exc.OperationalError as error:
        # "database is locked" on SQLite, "canceling statement due to lock timeout" on PostgreSQL.
        if "locked" in str(error.orig) or "lock timeout" in str(error.orig):
            raise StoreLocked(
                "another process has been writing to the results database for too long",
                subject=url,
                next_step="Wait for it to end, or find it: fuser -v FILE, or pg_stat_activity on PostgreSQL.",
            ) from None
        raise _refused(error, url) from None
    except sa.exc.DBAPIError as error:
        raise _refused(error, url) from None
    except WrongStoredValue as error:
        raise _wrong_value(engine, error, url) from None


def _refused(error: sa.exc.DBAPIError, url: str) -> StoreError:
    code = getattr(error.orig, "sqlite_errorname", None)
    if code in _DAMAGED_CODES or any(sign in str(error.orig) for sign in _DAMAGED):
        return _damaged(str(error.orig), url)
    if any(sign in str(error.orig) for sign in _NO_ROOM_OR_DISK):
        return StoreError(
            f"the results database cannot be read or written: {error.orig}{f' ({code})' if code else ''}. "
            "The disk or quota is full, or the file lies on a network file system",
            subject=url,
            next_step="Make room there, or set SLM_STORE_URL to a database on a disk of this machine.",
        )
    return StoreError(
        f"the results database refused: {error.orig}",
        subject=url,
        next_step="Check that the path or server is right and that it may be written to.",
    )


def _wrong_value(engine: sa.Engine, error: WrongStoredValue, url: str) -> StoreError:
    """Of a value that somebody wrote into an SQLite file."""
    query = sa.text(f'SELECT * FROM "{error.table}" WHERE "{error.column}" IS :value LIMIT 1')
    with engine.connect() as connection:
        row = connection.execute(query, {"value": error.value}).mappings().first()
    keys = {} if row is None else {name: row[name] for name in _KEYS if name in row}
    where = ", ".join(f"{name} {value}" for name, value in keys.items())
    run_id = keys.get("run_id", keys.get("id") if error.table == "runs" else None)
    removal = "" if run_id is None else f"Remove the run: slm results delete {run_id}. Or: "
    return _damaged(f"{error} ({where})", url, removal)


def _damaged(why: str, url: str, first: str = "") -> StoreError:
    return StoreError(
        f"the results database is damaged: {why}",
        subject=url,
        next_step=f"{first}Restore a copy of it, or move it away: a new one is made. What can be saved: "
        "sqlite3 FILE .recover",
    )


def stored_schema(connection: sa.Connection) -> str | None:
    """The revision that the tables have; None when there are none of ours.

    Read without alembic, which takes longer to import than most listings take.
    """
    if not sa.inspect(connection).has_table(_VERSIONS.name):
        return None
    schema: str | None = connection.scalar(sa.select(_VERSIONS.c.version_num))
    return schema
