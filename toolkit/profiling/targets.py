"""Which device is meant when none, or several, are named."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.devices.discovery import list_devices
from toolkit.errors import DeviceNotFound
from toolkit.settings import Settings

LOCAL = "local"


def chosen_serials(named: Sequence[str], settings: Settings) -> list[str]:
    """The devices to use.

    Those named, in that order and each once. With none named: the one attached phone; this machine when
    no phone is attached. A phone that is attached but not usable is still meant, so that a run never
    lands on this machine by accident.

    Raises:
        DeviceNotFound: none named and several phones attached.
    """
    if named:
        return list(dict.fromkeys(named))
    phones = [info.serial for info in list_devices(settings) if info.kind != "local"]
    if len(phones) > 1:
        raise DeviceNotFound(
            f"several devices are attached: {', '.join(phones)}",
            next_step="Name one with --device SERIAL, or --device local for this machine.",
        )
    return phones or [LOCAL]
