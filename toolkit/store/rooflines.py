"""What devices can do at most, in the store."""

from __future__ import annotations

import sqlalchemy as sa

from toolkit.store import tables
from toolkit.store.row_columns import column_names, row_of, values_of
from toolkit.store.rows import DeviceRoofline
from toolkit.store.store import Store


def add_roofline(store: Store, measured: DeviceRoofline) -> None:
    """Keep what was measured of a device; earlier ones stay."""
    with store.writing() as connection:
        connection.execute(sa.insert(tables.rooflines), values_of(measured))


def roofline_of(store: Store, device_key: str) -> DeviceRoofline | None:
    """The latest of a device; None where it was never measured."""
    table = tables.rooflines
    query = (
        sa.select(*(table.c[name].label(name) for name in column_names(DeviceRoofline)))
        .where(table.c.device_key == device_key)
        .order_by(table.c.created_unix_ns.desc(), table.c.id.desc())
        .limit(1)
    )
    with store.reading() as connection:
        row = connection.execute(query).mappings().first()
    return None if row is None else row_of(DeviceRoofline, row, "")
