"""Which import brought a run, so that it can be undone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision: str | None = "0007"


def upgrade() -> None:
    """Make the table; of earlier imports nothing is known."""
    op.create_table(
        "imports",
        sa.Column("run_id", sa.String(32), sa.ForeignKey("runs.id"), primary_key=True),
        sa.Column("import_id", sa.String(32), nullable=False),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("unix_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_imports_import_id", "imports", ["import_id"])
