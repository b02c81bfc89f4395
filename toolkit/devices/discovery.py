"""Which devices there are, and opening one by its serial."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from toolkit.devices.adb.binary import find_adb
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.adb.device import AdbDevice
from toolkit.devices.adb.parsers import AttachedDevice
from toolkit.devices.base import Device, DeviceInfo
from toolkit.devices.local import LOCAL_SERIAL, LocalDevice
from toolkit.devices.patience import Patience
from toolkit.devices.ssh import client as ssh
from toolkit.devices.ssh.device import open_board
from toolkit.devices.states import advice_for
from toolkit.errors import AdbNotFound, DeviceError, DeviceNotFound, DeviceNotReady
from toolkit.settings import Settings

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


def open_device(serial: str, settings: Settings) -> Device:
    """Open "local", a board as "ssh:USER@HOST", or the phone with this adb serial.

    Raises:
        AdbNotFound: no adb binary.
        DeviceNotFound: no such phone or host; names the phones that are attached.
        DeviceNotReady: attached but not usable, or not reachable; says what to do.
        UsageError: "ssh:" without a host.
    """
    if serial == LOCAL_SERIAL:
        return LocalDevice(settings)
    if serial.startswith(ssh.PREFIX):
        return open_board(ssh.find_client(serial), lock_folder=_lock_folder(settings))
    client = AdbClient(find_adb(settings))
    attached = {phone.serial: phone for phone in client.devices()}
    if serial not in attached:
        names = ", ".join([LOCAL_SERIAL, *attached])
        raise DeviceNotFound(
            "No such device is attached.",
            serial=serial,
            next_step=f"Attached: {names}. See `slm devices list`, or start one: `slm devices emulate`.",
        )
    state = attached[serial].state
    if state != "device":
        raise DeviceNotReady(f"adb says: {state}.", serial=serial, next_step=advice_for(state))
    return AdbDevice(serial, client, lock_folder=_lock_folder(settings))


def _describe(phone: AttachedDevice, client: AdbClient, settings: Settings) -> DeviceInfo:
    # adb replaces characters of the model that its listing cannot hold; the phone itself knows better.
    known = DeviceInfo(
        serial=phone.serial,
        kind="adb",
        state=phone.state,
        model=phone.tags.get("model"),
        advice=advice_for(phone.state),
    )
    if phone.state != "device":
        return known
    device = AdbDevice(phone.serial, client, lock_folder=_lock_folder(settings), patience=_LISTING_PATIENCE)
    try:
        return device.info()
    except DeviceError as error:
        return dataclasses.replace(known, state="unresponsive", advice=error.next_step or error.what)


def _lock_folder(settings: Settings) -> Path:
    return settings.data_dir / "locks"
