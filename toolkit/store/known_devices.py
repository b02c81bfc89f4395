"""One device, several rows: runs that were stored before its hardware's serial number was known."""

from __future__ import annotations

import sqlalchemy as sa

from toolkit.store import tables
from toolkit.store.rows import COMPARABLE_FACTS, Device

# What must be alike.
_ALIKE = ("serial", *(name for name in COMPARABLE_FACTS if name != "emulated"))


def take_over(connection: sa.Connection, device: Device) -> None:
    """Let a device that was just written know its earlier rows, and they it.

    All its rows get the name that its user gives it. A row that only knows the name of a transport, that very
    name, and is alike in everything else, is this device's from before its hardware was asked: its runs move.
    That happens once; the next device under this name finds none. Emulated devices are left out, whose names
    are ports that others had before them, and so are those of kind "local" in a database that hosts share:
    nobody knows which of them it was.
    """
    devices = tables.devices
    its_own = devices.c.key == device.key
    connection.execute(
        sa.update(devices).where(its_own, devices.c.identity.is_(None)).values(identity=device.identity)
    )
    of = sa.func.coalesce(devices.c.identity, devices.c.serial) == (device.identity or device.serial)
    if device.name is None:
        known = sa.select(devices.c.name).where(of, devices.c.name.is_not(None)).limit(1)
        connection.execute(sa.update(devices).where(its_own).values(name=connection.scalar(known)))
    else:
        connection.execute(sa.update(devices).where(of).values(name=device.name))
    shared_name = device.kind == "local" and connection.dialect.name != "sqlite"
    if device.identity is not None and not device.emulated and not shared_name:
        _move_runs(connection, device)


def _move_runs(connection: sa.Connection, device: Device) -> None:
    devices, runs = tables.devices, tables.runs
    alike = [devices.c[name].is_not_distinct_from(getattr(device, name)) for name in _ALIKE]
    old = connection.scalar(
        sa.select(devices.c.key).where(
            devices.c.identity.is_(None), devices.c.emulated.is_(False), devices.c.key != device.key, *alike
        )
    )
    if old is not None:
        connection.execute(sa.update(runs).where(runs.c.device_key == old).values(device_key=device.key))
        connection.execute(sa.delete(devices).where(devices.c.key == old))
