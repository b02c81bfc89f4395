"""SQL questions to the results database, which itself refuses to write while it answers.

SQLite opens the file read-only; an authorizer lets nothing through but reading, so that no other file is
attached or written either. PostgreSQL opens a cursor for the statement, which it does for questions only, in
a read-only transaction, and through its extended protocol, which takes one statement at a time: none can end
the transaction and begin another.

Measurements stand beside the columns: while a question is answered, ``runs`` and ``repetitions`` are views
with a column for each name of the vocabulary.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from toolkit.errors import StoreError, UsageError
from toolkit.store.measurements import Of, quantities
from toolkit.store.store import Store

_READING = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
# read_only_sql_transaction, insufficient_privilege, and where a cursor is asked for anything but a question.
_SQLSTATES_OF_WRITING = ("25006", "42501", "42P11", "0A000")
# Pragmas that describe tables.
_DESCRIBING = frozenset({"table_info", "table_list", "table_xinfo", "index_list", "index_info"})


@dataclass(frozen=True)
class Answer:
    """Rows of a question; ``cut`` says that there were more than asked for."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    cut: bool


def ask(store: Store, statement: str, *, limit: int | None = None) -> Answer:
    """Answer one SQL statement that only reads.

    Args:
        store: whose database is asked.
        statement: in the database's own SQL.
        limit: at most this many rows.

    Raises:
        UsageError: the statement is wrong, is not a question, or would write.
        StoreError: neither SQLite in a file nor PostgreSQL.
    """
    dialect = store.engine.dialect
    opened = _CURSORS.get((dialect.name, dialect.driver))
    if opened is None or dialect.dbapi is None:
        raise StoreError(
            "answers SQL on SQLite and PostgreSQL only",
            subject=f"{dialect.name}+{dialect.driver}",
            next_step="PostgreSQL's URL begins with postgresql+psycopg://",
        )
    try:
        with opened(store.engine, statement, limit) as cursor:
            if cursor.description is None:
                raise UsageError("the statement gives no rows", next_step="Begin it with SELECT or WITH.")
            rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
            columns = tuple(column[0] for column in cursor.description)
    except dialect.dbapi.Error as error:
        step = "The tables are described in docs/file_formats.md."
        if _forbidden(error):
            step = f"Only reading is allowed: SELECT or WITH. {step}"
        raise UsageError(f"the database refused: {error}", next_step=step) from None
    rows = [tuple(row) for row in rows]
    return Answer(columns, rows[:limit], cut=limit is not None and len(rows) > limit)


def _forbidden(error: Exception) -> bool:
    """Whether the statement was understood, and more than reading."""
    return (
        "cannot modify" in str(error)
        or getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY)
        or (getattr(error, "sqlstate", None) in _SQLSTATES_OF_WRITING)
    )


@contextlib.contextmanager
def _sqlite_cursor(engine: sa.Engine, statement: str, limit: int | None) -> Iterator[Any]:
    database = engine.url.database
    if database in (None, "", ":memory:"):
        raise StoreError(
            "answers SQL only from a database in a file",
            subject=str(engine.url),
            next_step="Keep results in a file: SLM_STORE_URL=sqlite:////path/to/results.db",
        )
    # The store's own connection keeps the WAL index alive, which a reader alone may not make.
    with engine.connect():
        uri = f"{Path(str(database)).absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            for view in _views("main."):
                connection.execute(view)
            connection.execute("PRAGMA query_only = ON")
            connection.set_authorizer(_only_reading)
            yield connection.execute(statement)


def _only_reading(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    allowed = action in _READING and second != "load_extension"
    describes = action == sqlite3.SQLITE_PRAGMA and first in _DESCRIBING
    return sqlite3.SQLITE_OK if allowed or describes else sqlite3.SQLITE_DENY


@contextlib.contextmanager
def _postgresql_cursor(engine: sa.Engine, statement: str, limit: int | None) -> Iterator[Any]:
    with engine.connect() as connection:
        # Undone with the transaction, and left out for users who may read and no more.
        if connection.exec_driver_sql("SELECT has_database_privilege(current_database(), 'TEMP')").scalar():
            for view in _views(""):
                connection.exec_driver_sql(view)
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        # Once a snapshot is taken, nothing can make the transaction writable again.
        connection.exec_driver_sql("SELECT 1")
        raw: Any = connection.connection.dbapi_connection
        with raw.cursor() as cursor:
            cursor.execute(f"DECLARE answer NO SCROLL CURSOR FOR {statement}", prepare=True)
            cursor.execute(f"FETCH {'ALL' if limit is None else limit + 1} FROM answer")
            yield cursor


def _views(schema: str) -> Iterator[str]:
    """Statements that make the views; ``schema`` stands before the names of the tables behind them."""
    owners: tuple[tuple[Of, str, str], ...] = (
        ("run", "runs", "m.run_id = owner.id AND m.repetition IS NULL"),
        ("repetition", "repetitions", 'm.run_id = owner.run_id AND m.repetition = owner."index"'),
    )
    for of, table, is_owners in owners:
        columns = ["owner.*"] + [
            f"(SELECT m.value FROM {schema}measurements AS m "
            f"WHERE m.name = '{quantity.name}' AND {is_owners}) AS \"{quantity.name}\""
            for quantity in quantities(of)
        ]
        yield f"CREATE TEMP VIEW {table} AS SELECT {', '.join(columns)} FROM {schema}{table} AS owner"


_CURSORS = {("sqlite", "pysqlite"): _sqlite_cursor, ("postgresql", "psycopg"): _postgresql_cursor}
