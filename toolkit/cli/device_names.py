"""`slm devices name`: names for devices that people remember."""

from __future__ import annotations

import typer

from toolkit.settings import Settings


def name(
    device: str = typer.Argument(help="Serial, ssh:USER@HOST, or a name given before.", metavar="DEVICE"),
    new: str | None = typer.Argument(None, help="Its name from now on.", metavar="NAME"),
    remove: bool = typer.Option(False, "--remove", help="Forget the name given as DEVICE."),
) -> None:
    """Give a device a name, shown and accepted wherever its serial is.

    The name stays with the hardware, whatever adb calls it; runs stored before are shown with it, too.

    \b
    Examples:
      slm devices name R5CT1234567 pixel7
      slm devices name 192.168.1.20:5555 pixel7
      slm devices name pixel7 --remove
    """  # noqa: D301
    from toolkit.devices.discovery import open_device
    from toolkit.devices.given_names import NamedDevice, give_name, remove_name
    from toolkit.errors import UsageError
    from toolkit.store import open_store

    settings = Settings.from_environment()
    if remove == (new is not None):
        raise UsageError("give a name, or --remove one", next_step="See: slm devices name --help")
    if new is None:
        named = remove_name(device, settings)
    else:
        opened = open_device(device, settings)
        named = NamedDevice(
            name=new, identity=opened.identity().hardware or opened.serial, serial=opened.serial
        )
        give_name(named, settings)
    with open_store(settings.store_url) as store:
        runs = store.name_device(named.identity, new)
    print(f"{named.identity} is {new or 'nameless'}; {runs} stored devices are shown so")
