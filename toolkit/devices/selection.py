"""Which device is meant when none, or several, are named."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.devices.discovery import attached_phones, identities
from toolkit.errors import DeviceNotFound
from toolkit.progress import say
from toolkit.settings import Settings

LOCAL = "local"
# Every attached phone; this machine only when it is named as well.
ALL = "all"


def chosen_serials(named: Sequence[str], settings: Settings) -> list[str]:
    """The devices to use.

    Those named, in that order and each once, also when it is named in two ways; ``all`` stands for every
    attached phone. With none named: those of the settings; without any there, the one attached phone; this
    machine when no phone is attached. A phone that is attached but not usable is still meant, so that a run
    never lands on this machine by accident and a phone is never left out silently.

    Raises:
        DeviceNotFound: none named and several phones attached, or all meant and none attached.
    """
    if not named and settings.device:
        named = [name.strip() for name in settings.device.split(",") if name.strip()]
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
    return _each_once(list(dict.fromkeys(serials)), settings)


def chosen_serial(named: str | None, settings: Settings) -> str:
    """The one device to use, for work that is done on one only.

    Raises:
        DeviceNotFound: several phones are meant, or none is there.
    """
    if named is None and settings.device is None:
        phones = _each_once(_attached_phones(settings), settings)
        serials = phones or [LOCAL]
    else:
        serials = chosen_serials([named] if named else [], settings)
    if len(serials) > 1:
        raise DeviceNotFound(
            f"this is done on one device at a time, and {len(serials)} are meant",
            next_step=f"Name one with --device: {', '.join(serials)}; this machine is --device local.",
        )
    return serials[0]


def _only_phone(settings: Settings) -> list[str]:
    phones = _each_once(_attached_phones(settings), settings)
    if len(phones) > 1:
        raise DeviceNotFound(
            f"several devices are attached: {', '.join(phones)}",
            next_step="Name one with --device SERIAL, all of them with --device all, or --device local for "
            "this machine.",
        )
    return phones or [LOCAL]


def _each_once(names: list[str], settings: Settings) -> list[str]:
    """Without further names of the same device: a phone on USB and over Wi-Fi is measured once."""
    if len(names) < 2:
        return names
    chosen: dict[str, str] = {}
    for name, identity in identities(names, settings).items():
        device = identity.system or identity.hardware or name
        if device not in chosen:
            chosen[device] = name
            continue
        # Of several names, the one that adb has from the hardware itself: USB, which is the faster way.
        kept, other = chosen[device], name
        if name == identity.hardware:
            kept, other = name, kept
        chosen[device] = kept
        say(f"{other} is {kept} under another name, and is used once")
    return list(chosen.values())


def _attached_phones(settings: Settings) -> list[str]:
    return [phone.serial for phone in attached_phones(settings)]
