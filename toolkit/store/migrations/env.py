"""Run by alembic; the connection comes from toolkit.store.migrating, inside its transaction."""

from __future__ import annotations

from alembic import context

from toolkit.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # alembic thinks that SQLite cannot roll back CREATE TABLE; it can, when BEGIN is sent by us.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
