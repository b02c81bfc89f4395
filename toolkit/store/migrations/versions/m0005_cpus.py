"""Which CPUs were on line, and how fast each can run: a cap is low or not against that only."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision: str | None = "0004"


def upgrade() -> None:
    """Add the columns; of older runs nothing is known about them."""
    for name in ("online_cpus", "cpu_maximum_frequencies_khz"):
        op.add_column("conditions", sa.Column(name, sa.JSON(none_as_null=True)))
