"""Devices by their hardware: identity, and the name that their user gives them.

Of devices stored before only the name is known under which adb or ssh reached them. The first run of a device
that goes by that name, and is alike in everything else, takes their runs over. Readings gain the battery's
charge.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision: str | None = "0006"


def upgrade() -> None:
    """Add the columns; the identity of older rows is not known."""
    op.add_column("devices", sa.Column("identity", sa.String(255)))
    op.add_column("devices", sa.Column("name", sa.String(64)))
    op.add_column("conditions", sa.Column("battery_charge_uah", sa.BigInteger))
