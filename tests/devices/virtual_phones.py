"""Virtual phones for tests, and how tests open them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.patience import Patience
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.fleet import VirtualPhone, remove_phone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings

# A frozen phone is noticed after stall_s + at most two polls.
IMPATIENT = Patience(call_s=3.0, stall_s=1.5, poll_s=0.2)

StartPhone = Callable[..., VirtualPhone]
OpenPhone = Callable[[VirtualPhone], AdbDevice]


@contextmanager
def running_phone(client: AdbClient, home: Settings, spec: PhoneSpec) -> Iterator[VirtualPhone]:
    """A phone that is online in adb while the block runs, and gone afterwards."""
    started = start_phone(spec, home)
    try:
        bring_online(started, client)
        yield started
    finally:
        client.disconnect(started.serial)
        remove_phone(started)
