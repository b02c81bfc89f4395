"""Settings without a column of their own, and the recipe and batch that a run was made by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision: str | None = "0005"


def upgrade() -> None:
    """Add the columns; runs of before have none of them."""
    for name, kind in (
        ("settings", sa.JSON(none_as_null=True)),
        ("recipe", sa.String(64)),
        ("batch", sa.String(32)),
    ):
        op.add_column("runs", sa.Column(name, kind))
