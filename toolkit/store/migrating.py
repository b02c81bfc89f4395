"""Making and migrating the tables; imported only when a database is not of this version's schema already."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from toolkit.errors import StoreError
from toolkit.store.database import stored_schema, transaction
from toolkit.store.tables import SCHEMA

MIGRATIONS = Path(__file__).with_name("migrations")

_MIGRATION_WAIT_S = 300
# Any number will do that no other program locks: "slm" in ASCII.
_MIGRATION_LOCK = 0x736C6D


def migrate(engine: sa.Engine) -> None:
    """Bring the schema to this version of the toolkit; does nothing when another process just did.

    Raises:
        StoreError: the database was written by a newer toolkit, or is not a results database.
        StoreLocked: another process holds it.
    """
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    known = {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
    # Refused without waiting for whoever writes there.
    with transaction(engine, writes=False) as connection:
        _refuse_newer(connection, known)
    with transaction(engine, writes=True) as connection:
        if engine.dialect.name == "postgresql":
            # SQLite's write lock has kept others out already; a server has to be asked to. Whoever holds this
            # lock is migrating, which takes longer than writing a run.
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_MIGRATION_WAIT_S}s'")
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        _refuse_newer(connection, known)
        _refuse_foreign(connection)
        config.attributes["connection"] = connection
        # Under the write lock alembic reads the revision again: a second process finds nothing to do.
        command.upgrade(config, SCHEMA)


def _refuse_newer(connection: sa.Connection, known: set[str]) -> None:
    stored = stored_schema(connection)
    if stored is not None and stored not in known:
        raise StoreError(
            f"written by a newer slm-toolkit (schema {stored}, this version knows up to {SCHEMA})",
            subject=_named(connection),
            next_step="Upgrade slm-toolkit, or point SLM_STORE_URL to another database.",
        )


def _refuse_foreign(connection: sa.Connection) -> None:
    if stored_schema(connection) is None and sa.inspect(connection).has_table("runs"):
        raise StoreError(
            "holds tables of another program",
            subject=_named(connection),
            next_step="Point SLM_STORE_URL to another database.",
        )


def _named(connection: sa.Connection) -> str:
    return connection.engine.url.render_as_string(hide_password=True)
