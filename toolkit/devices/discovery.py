"""Which devices there are, and opening one by its serial."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from toolkit.devices.adb.binary import find_adb
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.adb.device import AdbDevice
from toolkit.devices.adb.parsers import AttachedDevice
from toolkit.devices.base import Device, DeviceInfo
from toolkit.devices.given_names import NamedDevice, find_name, name_of
from toolkit.devices.identity import Identity, believed
from toolkit.devices.local import LOCAL_SERIAL, LocalDevice
from toolkit.devices.patience import Patience
from toolkit.devices.ssh import client as ssh
from toolkit.devices.ssh.device import open_board
from toolkit.devices.states import advice_for
from toolkit.errors import AdbNotFound, DeviceError, DeviceNotFound, DeviceNotReady, UsageError
from toolkit.settings import Settings

# The state of a phone that adb calls usable and that does not answer.
UNRESPONSIVE = "unresponsive"
# A listing does not wait long for a frozen phone.
_LISTING_PATIENCE = Patience(call_s=5.0)
_PARALLEL_PHONES = 8


def list_devices(settings: Settings) -> list[DeviceInfo]:
    """Describe this machine and every phone that adb sees, in whatever state; works without adb too.

    A phone that adb calls usable but that does not answer is listed with the state "unresponsive".

    Raises:
        AdbServerFailed: there is an adb, but it cannot say which phones are attached.
    """
    local = LocalDevice(settings).info()
    try:
        client = AdbClient(find_adb(settings))
    except AdbNotFound:
        return [local]
    attached = client.devices()
    with ThreadPoolExecutor(_PARALLEL_PHONES) as pool:
        phones = pool.map(lambda phone: _describe(phone, client, settings), attached)
        return [local, *phones]


def attached_phones(settings: Settings) -> list[AttachedDevice]:
    """The phones that adb sees, in whatever state, without asking them anything; none without adb.

    Raises:
        AdbServerFailed: there is an adb, but it cannot say which phones are attached.
    """
    try:
        return AdbClient(find_adb(settings)).devices()
    except AdbNotFound:
        return []


def open_device(name: str, settings: Settings, *, patience: Patience = Patience()) -> Device:
    """Open "local", a board as "ssh:USER@HOST", or a phone.

    Args:
        name: a phone's adb serial, its hardware's serial number, or the name that the user gave it.
        settings: says which adb, and where names and locks are.
        patience: timeouts.

    Raises:
        AdbNotFound: no adb binary.
        DeviceNotFound: no such phone or host; names the phones that are attached.
        DeviceNotReady: attached but not usable, or not reachable; says what to do.
        UsageError: "ssh:" without a host.
    """
    named = find_name(name, settings)
    if LOCAL_SERIAL in (name, named.serial if named else None):
        return LocalDevice(settings)
    if name.startswith(ssh.PREFIX) or (named is not None and named.serial.startswith(ssh.PREFIX)):
        board = ssh.find_client(name if named is None else named.serial)
        return open_board(board, lock_folder=_lock_folder(settings), patience=patience)
    client = AdbClient(find_adb(settings))
    # Of several lines with one serial the usable one counts, wherever adb put it.
    attached = {
        phone.serial: phone for phone in sorted(client.devices(), key=lambda one: one.state == "device")
    }
    if name not in attached:
        found = _by_identity(name if named is None else named.identity, attached.values(), client, settings)
        if found is None:
            raise _not_attached(name, named, attached)
        name = found
    state = attached[name].state
    if state != "device":
        raise DeviceNotReady(f"adb says: {state}.", serial=name, next_step=advice_for(state, name))
    return AdbDevice(name, client, lock_folder=_lock_folder(settings), patience=patience)


def identities(names: Sequence[str], settings: Settings) -> dict[str, Identity]:
    """What devices say they are, by the names given; one that does not answer says nothing."""

    def ask(name: str) -> Identity:
        try:
            return open_device(name, settings, patience=_LISTING_PATIENCE).identity()
        except (DeviceError, UsageError):
            # Whoever works with it next meets this error, and says so.
            return Identity()

    with ThreadPoolExecutor(_PARALLEL_PHONES) as pool:
        return believed(dict(zip(names, pool.map(ask, names), strict=True)))


def has_own_number(info: DeviceInfo, settings: Settings) -> bool:
    """Whether no other phone that is attached here has this one's serial number of the hardware."""
    if info.kind != "adb" or info.identity in (None, info.serial):
        return True
    usable = [phone.serial for phone in attached_phones(settings) if phone.state == "device"]
    if usable == [info.serial]:
        return True
    return identities(usable, settings).get(info.serial, Identity(info.identity)).hardware is not None


def _by_identity(
    identity: str, attached: Iterable[AttachedDevice], client: AdbClient, settings: Settings
) -> str | None:
    """What adb calls the phone whose hardware has this serial number; its first name when it has several."""

    def ask(phone: AttachedDevice) -> Identity:
        device = AdbDevice(
            phone.serial, client, lock_folder=_lock_folder(settings), patience=_LISTING_PATIENCE
        )
        try:
            return device.identity()
        except DeviceError:
            return Identity()

    usable = [phone for phone in attached if phone.state == "device"]
    if any(phone.serial == identity for phone in usable):
        return identity
    with ThreadPoolExecutor(_PARALLEL_PHONES) as pool:
        asked = zip(usable, pool.map(ask, usable), strict=True)
        found = {phone.serial: one for phone, one in asked if one.hardware == identity}
    if len({one.system or name for name, one in found.items()}) > 1:
        raise DeviceNotFound(
            f"several phones have this serial number: {', '.join(found)}",
            serial=identity,
            next_step="Name the one that is meant as adb calls it: slm devices list",
        )
    return next(iter(found), None)


def _not_attached(name: str, named: NamedDevice | None, attached: Iterable[str]) -> DeviceNotFound:
    names = ", ".join([LOCAL_SERIAL, *attached])
    whose = "" if named is None else f" ({named.identity}, last {named.serial})"
    return DeviceNotFound(
        f"No such device is attached{whose}.",
        serial=name,
        next_step=f"Attached: {names}. See `slm devices list`, or start one: `slm devices emulate`.",
    )


def _describe(phone: AttachedDevice, client: AdbClient, settings: Settings) -> DeviceInfo:
    # adb replaces characters of the model that its listing cannot hold; the phone itself knows better.
    known = DeviceInfo(
        serial=phone.serial,
        kind="adb",
        state=phone.state,
        model=phone.tags.get("model"),
        advice=advice_for(phone.state, phone.serial),
    )
    if phone.state != "device":
        return known
    device = AdbDevice(phone.serial, client, lock_folder=_lock_folder(settings), patience=_LISTING_PATIENCE)
    try:
        info = device.info()
        return dataclasses.replace(info, name=name_of(info.identity or info.serial, settings))
    except DeviceError as error:
        return dataclasses.replace(known, state=UNRESPONSIVE, advice=error.next_step or error.what)


def _lock_folder(settings: Settings) -> Path:
    return settings.data_dir / "locks"
