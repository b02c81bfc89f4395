"""What devices can do at most."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision: str | None = "0009"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "rooflines",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("device_key", sa.String(64), nullable=False),
        sa.Column("created_unix_ns", sa.BigInteger, nullable=False),
        sa.Column("runner_version", sa.String(32), nullable=False),
        sa.Column("kernels", sa.String(32), nullable=False),
        sa.Column("buffer_bytes", sa.BigInteger, nullable=False),
        sa.Column("passes", sa.Integer, nullable=False),
        sa.Column("points", sa.JSON, nullable=False),
    )
    op.create_index("ix_rooflines_device_key", "rooflines", ["device_key"])
