"""Opening the results database: connection settings, migrations, and errors in the toolkit's words."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from toolkit.errors import StoreError, StoreLocked

MIGRATIONS = Path(__file__).with_name("migrations")

# Execution option of connections that are going to write.
_WRITES = "slm_writes"
_MIGRATION_WAIT_S = 300
# Any number will do that no other program locks: "slm" in ASCII.
_MIGRATION_LOCK = 0x736C6D


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
            "and install the driver that it names; for PostgreSQL: pip install 'slm-toolkit[postgres]'.",
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


def _refused(error: sa.exc.DBAPIError, url: str) -> StoreError:
    return StoreError(
        f"the results database refused: {error.orig}",
        subject=url,
        next_step="Check that the path or server is right and that it may be written to.",
    )


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to this version of the toolkit; does nothing, and takes no lock, when it is.

    Raises:
        StoreError: the database was written by a newer toolkit, or is not a results database.
        StoreLocked: another process holds it.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    url = engine.url.render_as_string(hide_password=True)
    with transaction(engine, writes=False) as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        if current is None and sa.inspect(connection).has_table("runs"):
            raise StoreError(
                "holds tables of another program",
                subject=url,
                next_step="Point SLM_STORE_URL to another database.",
            )
    if current == script.get_current_head():
        return
    if current is not None and current not in {revision.revision for revision in script.walk_revisions()}:
        raise StoreError(
            f"written by a newer slm-toolkit (schema {current}, this version knows up to "
            f"{script.get_current_head()})",
            subject=url,
            next_step="Upgrade slm-toolkit, or point SLM_STORE_URL to another database.",
        )
    with transaction(engine, writes=True) as connection:
        if engine.dialect.name == "postgresql":
            # SQLite's write lock has kept others out already; a server has to be asked to. Whoever holds this
            # lock is migrating, which takes longer than writing a run.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_MIGRATION_WAIT_S}s'")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        config.attributes["connection"] = connection
        # Under the write lock alembic reads the revision again: a second process finds nothing to do.
        command.upgrade(config, "head")
