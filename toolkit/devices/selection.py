"""Which device is meant when none, or several, are named."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.devices.discovery import attached_phones
from toolkit.errors import DeviceNotFound
from toolkit.settings import Settings

LOCAL = "local"
# Every attached phone; this machine only when it is named as well.
ALL = "all"


def chosen_serials(named: Sequence[str], settings: Settings) -> list[str]:
    """The devices to use.

    Those named, in that order and each once; ``all`` stands for every attached phone. With none named: the
    one attached phone; this machine when no phone is attached. A phone that is attached but not usable is
    still meant, so that a run never lands on this machine by accident and a phone is never left out
    silently.

    Raises:
        DeviceNotFound: none named and several phones attached, or all meant and none attached.
    """
    if not named:
        return _only_phone(settings)
    serials: list[str] = []
    for name in named:
        serials += _attached_phones(settings) if name == ALL else [name]
    if not serials:
        raise DeviceNotFound(
            "no phone is attached",
            next_step="Attach one, start a virtual one with `slm devices emulate`, or use --device local.",
        )
    return list(dict.fromkeys(serials))


def chosen_serial(named: str | None, settings: Settings) -> str:
    """The one device to use, for work that is done on one only.

    Raises:
        DeviceNotFound: several phones are meant, or none is there.
    """
    serials = chosen_serials([named] if named else [], settings)
    if len(serials) > 1:
        raise DeviceNotFound(
            f"this is done on one device at a time, {len(serials)} are attached",
            next_step=f"Name one of them with --device: {', '.join(serials)}.",
        )
    return serials[0]


def _only_phone(settings: Settings) -> list[str]:
    phones = _attached_phones(settings)
    if len(phones) > 1:
        raise DeviceNotFound(
            f"several devices are attached: {', '.join(phones)}",
            next_step="Name one with --device SERIAL, all of them with --device all, or --device local for "
            "this machine.",
        )
    return phones or [LOCAL]


def _attached_phones(settings: Settings) -> list[str]:
    return [phone.serial for phone in attached_phones(settings)]
