"""`slm devices emulate`: virtual phones that the user's own adb server knows about."""

from __future__ import annotations

import itertools
import time

from toolkit.devices.adb.client import AdbClient
from toolkit.devices.adb.parsers import ConnectOutcome
from toolkit.devices.local import host_abi
from toolkit.devices.states import advice_for
from toolkit.devices.virtual.fleet import VirtualPhone, known_phones, remove_phone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import DeviceNotReady, VirtualPhoneFailed
from toolkit.settings import Settings

_ONLINE_TIMEOUT_S = 15.0
_POLL_S = 0.05


def emulate(
    count: int, settings: Settings, client: AdbClient, *, abi: str | None = None
) -> list[VirtualPhone]:
    """Make sure that ``count`` virtual phones run and are online in adb; starts those that are missing.

    Args:
        count: how many of this ABI; phones of other ABIs stay as they are.
        settings: says where the phones are.
        client: adb.
        abi: this machine's own, or one that qemu emulates; None for this machine's own.

    Raises:
        VirtualPhoneFailed: one could not be started; those already started stay.
        DeviceNotReady: one runs, but adb does not get it online.
    """
    abi = abi or host_abi()
    phones = running_phones(settings, abi)[:count]
    taken = {phone.name for phone in known_phones(settings) if phone.is_running()}
    stem = "phone" if abi == host_abi() else f"{abi}-phone"
    numbers = (number for number in itertools.count(1) if f"{stem}-{number}" not in taken)
    while len(phones) < count:
        number = next(numbers)
        kind = "Virtual Phone" if abi == host_abi() else f"Virtual {abi} Phone"
        spec = PhoneSpec(f"{stem}-{number}", model=f"{kind} {number}", abi=abi)
        phones.append(start_phone(spec, settings))
    for phone in phones:
        bring_online(phone, client)
    return phones


def running_phones(settings: Settings, abi: str | None = None) -> list[VirtualPhone]:
    """Virtual phones of one ABI that run, this machine's by default, in the order in which they count."""
    running = [phone for phone in known_phones(settings) if phone.is_running()]
    return [phone for phone in running if phone.spec().abi == (abi or host_abi())]


def bring_online(phone: VirtualPhone, client: AdbClient, *, timeout_s: float = _ONLINE_TIMEOUT_S) -> None:
    """Connect adb to a phone and wait until it can be used.

    Raises:
        VirtualPhoneFailed: adb cannot connect.
        DeviceNotReady: connected, but not usable within ``timeout_s``; says the state.
    """
    if _state(phone, client) == "device":
        return
    # adb 29 keeps a phone that came back as "offline" until it is told to forget it.
    client.disconnect(phone.serial)
    if client.connect(phone.serial) is ConnectOutcome.FAILED:
        raise VirtualPhoneFailed(
            f"adb cannot connect to virtual phone {phone.name}.",
            serial=phone.serial,
            next_step=f"Stop it with `slm devices stop` and start again; its log is in {phone.folder}.",
        )
    deadline = time.monotonic() + timeout_s
    while (state := _state(phone, client)) != "device":
        if time.monotonic() > deadline:
            advice = advice_for(state or "offline", phone.serial)
            raise DeviceNotReady(f"adb says: {state}.", serial=phone.serial, next_step=advice)
        if state is None:
            # The end of an earlier connection under this name may take the new one along.
            client.connect(phone.serial)
        time.sleep(_POLL_S)


def stop_all(settings: Settings, client: AdbClient | None) -> list[str]:
    """Stop and delete every virtual phone, and nothing else; returns their serials.

    Args:
        settings: says where the phones are.
        client: told to forget them; None when there is no adb.
    """
    phones = known_phones(settings)
    for phone in phones:
        if client:
            client.disconnect(phone.serial)
        remove_phone(phone)
    return [phone.serial for phone in phones]


def _state(phone: VirtualPhone, client: AdbClient) -> str | None:
    return next((found.state for found in client.devices() if found.serial == phone.serial), None)
