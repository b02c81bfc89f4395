"""Names that people give to devices: `slm devices name R5CT1234567 pixel7`.

They are kept in ``device-names.json`` of the data folder, by the device's identity, so that a name stays with
a phone whatever adb calls it today.
"""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from toolkit.errors import UsageError
from toolkit.files import write_whole
from toolkit.locks import exclusive
from toolkit.settings import Settings

# With a digit, so that a recipe can tell it from a mistyped word.
_NAME = re.compile(r"(?=.*[0-9])[A-Za-z][A-Za-z0-9._-]{0,39}")
# Words that mean something else wherever a device is named.
_RESERVED = re.compile(r"local|all|phones|ssh|virtual(-.*)?")


class NamedDevice(BaseModel):
    """A name and whose it is.

    Attributes:
        name: what people call it.
        identity: the hardware's serial number, or the device's only name where it has none.
        serial: what adb or ssh called it when it was named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    identity: str
    serial: str


_NAMED = TypeAdapter(list[NamedDevice])


def named_devices(settings: Settings) -> list[NamedDevice]:
    """All names, in their order.

    Raises:
        UsageError: the file is damaged.
    """
    path = _file(settings)
    if not path.is_file():
        return []
    try:
        return _NAMED.validate_json(path.read_bytes())
    except ValidationError as error:
        raise UsageError(
            f"cannot be read: {error.errors()[0]['msg']}",
            subject=str(path),
            next_step="Mend it or remove it, and name the devices again: slm devices name.",
        ) from None


def name_of(identity: str, settings: Settings) -> str | None:
    """The name of a device by its identity; None when it has none."""
    return next((one.name for one in named_devices(settings) if one.identity == identity), None)


def find_name(name: str, settings: Settings) -> NamedDevice | None:
    """The device of a name; None when nobody has it."""
    return next((one for one in named_devices(settings) if one.name == name), None)


def give_name(named: NamedDevice, settings: Settings) -> None:
    """Give a device a name, in the place of the one that it has.

    Raises:
        UsageError: what cannot be a name, or is another device's.
    """
    if not _NAME.fullmatch(named.name) or _RESERVED.fullmatch(named.name):
        raise UsageError(
            f"{named.name!r} cannot be a device's name",
            next_step="A name begins with a letter, holds a digit, and else letters, dots and dashes, like "
            "pixel7; virtual-1 means something else.",
        )
    with exclusive(_lock(settings)):
        known = named_devices(settings)
        holder = next((one for one in known if one.name == named.name), None)
        if holder is not None and holder.identity != named.identity:
            raise UsageError(
                f"{named.name!r} is the name of {holder.identity} already",
                next_step=f"Take another name, or free it first: slm devices name {named.name} --remove",
            )
        _write([*(one for one in known if one.identity != named.identity), named], settings)


def remove_name(name: str, settings: Settings) -> NamedDevice:
    """Forget a name; returns whose it was.

    Raises:
        UsageError: nobody has it.
    """
    with exclusive(_lock(settings)):
        known = named_devices(settings)
        found = next((one for one in known if one.name == name), None)
        if found is None:
            names = ", ".join(one.name for one in known) or "none"
            raise UsageError(f"no device has the name {name!r}", next_step=f"Names given: {names}.")
        _write([one for one in known if one is not found], settings)
    return found


def _write(named: list[NamedDevice], settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    ordered = sorted(named, key=lambda one: one.name)
    write_whole(_file(settings), _NAMED.dump_json(ordered, indent=2) + b"\n")


def _file(settings: Settings) -> Path:
    return settings.data_dir / "device-names.json"


def _lock(settings: Settings) -> Path:
    return settings.data_dir / "locks" / "device-names.lock"
