"""slm devices: list what is attached and clean it; start and stop virtual phones."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from toolkit.cli import device_names, device_roofline, device_storage, device_watch
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.devices.base import DeviceInfo

app = typer.Typer(
    no_args_is_help=True,
    help="List, watch, name, clean devices; run virtual phones.",
    rich_markup_mode=None,
)
_JSON = typer.Option(False, "--json", help="Print JSON.")


@app.command("list")
def list_command(as_json: bool = _JSON) -> None:
    """List all devices: what they are, their state, what to do. With free space and the toolkit's share.

    \b
    Examples:
      slm devices list
      slm devices list --json | jq '.[].serial'
    """  # noqa: D301
    from toolkit.devices.discovery import list_devices
    from toolkit.devices.local import LocalDevice
    from toolkit.errors import AdbServerFailed

    settings = Settings.from_environment()
    try:
        devices = list_devices(settings)
    except AdbServerFailed:
        # This machine is there whatever adb says; that phones may be missing is told by the error.
        _print_devices([LocalDevice(settings).info()], as_json)
        raise
    _print_devices(devices, as_json)
    _refuse_silent(devices)


# Help shows commands in the order in which they come.
app.command("watch")(device_watch.watch)
app.command("name")(device_names.name)
app.command("clean")(device_storage.clean)
app.command("measure")(device_roofline.measure)
app.command("release")(device_storage.release)


@app.command()
def emulate(
    count: int = typer.Option(1, min=1, max=16, help="How many virtual phones shall run."),
    abi: str = typer.Option(
        "host", help="Their ABI: host, x86_64 or arm64-v8a. Others than the host's run in qemu."
    ),
    stop: bool = typer.Option(False, "--stop", help="Stop and delete all virtual phones instead."),
    as_json: bool = _JSON,
) -> None:
    """Make sure that so many virtual phones run. They are connected to adb; prints their serials.

    A virtual phone is a sandboxed folder of this machine behind the real adb protocol. What it measures
    is marked as emulated and never mixes with a real phone's results.

    \b
    Examples:
      slm devices emulate --count 2
      slm devices emulate --abi arm64-v8a
      slm devices emulate --stop
    """  # noqa: D301
    from toolkit.devices.adb.binary import find_adb
    from toolkit.devices.adb.client import AdbClient
    from toolkit.devices.local import host_abi
    from toolkit.devices.virtual.emulation import emulate as emulate_phones
    from toolkit.devices.virtual.emulator import EMULATED_ABIS
    from toolkit.errors import UsageError

    if stop:
        stop_command(as_json)
        return
    abi = host_abi() if abi == "host" else abi
    if abi not in (host_abi(), *EMULATED_ABIS):
        available = ", ".join(("host", host_abi(), *EMULATED_ABIS))
        raise UsageError(f"There is no virtual phone of ABI {abi}.", next_step=f"Available: {available}.")
    settings = Settings.from_environment()
    phones = emulate_phones(count, settings, AdbClient(find_adb(settings)), abi=abi)
    _print_serials([phone.serial for phone in phones], as_json)


@app.command("stop")
def stop_command(as_json: bool = _JSON) -> None:
    """Stop and delete all virtual phones. Prints their serials.

    \b
    Examples:
      slm devices stop
    """  # noqa: D301
    from toolkit.devices.adb.binary import find_adb
    from toolkit.devices.adb.client import AdbClient
    from toolkit.devices.virtual.emulation import stop_all
    from toolkit.errors import AdbNotFound, AdbServerFailed

    settings = Settings.from_environment()
    try:
        client = AdbClient(find_adb(settings))
    except (AdbNotFound, AdbServerFailed):
        client = None
    _print_serials(stop_all(settings, client), as_json)


@app.command("set")
def set_command(
    device: str = typer.Argument(
        help="A virtual phone: its serial, as `slm devices emulate` prints it, or the name given to it.",
        metavar="DEVICE",
    ),
    assignments: list[str] = typer.Argument(None, metavar="NAME=VALUE", help="Conditions to change."),
) -> None:
    """Change what a virtual phone reports. Prints all its conditions as JSON.

    \b
    Examples:
      slm devices set 127.0.0.1:40123
      slm devices set 127.0.0.1:40123 thermal_status=3 zones.cpu-0-0=81.5
      slm devices set 127.0.0.1:40123 battery_percent=12 charging=true current_ua=none
    """  # noqa: D301
    from toolkit.devices.given_names import find_name
    from toolkit.devices.virtual.conditions import parse_assignments, set_conditions
    from toolkit.devices.virtual.fleet import find_phone

    settings = Settings.from_environment()
    named = find_name(device, settings)
    phone = find_phone(named.serial if named else device, settings)
    conditions = set_conditions(phone, **parse_assignments(assignments or []))
    print(conditions.model_dump_json(indent=2))


def _refuse_silent(devices: list[DeviceInfo]) -> None:
    """Fail for phones that adb calls usable and that could not be asked: what they are is not known.

    Raises:
        DeviceUnreadable: names them.
    """
    from toolkit.devices.discovery import UNRESPONSIVE
    from toolkit.errors import DeviceUnreadable

    silent = [device.serial for device in devices if device.state == UNRESPONSIVE]
    if silent:
        phones = sum(device.kind == "adb" for device in devices)
        raise DeviceUnreadable(
            f"{len(silent)} of {phones} phones did not answer.",
            serial=", ".join(silent),
            next_step="Do what the list says below it; `adb -s SERIAL shell true` tells whether it answers.",
        )


def _print_serials(serials: list[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(serials))
    else:
        for serial in serials:
            print(serial)


def _print_devices(devices: list[DeviceInfo], as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(device) for device in devices], indent=2))
    else:
        _print_table(devices)


def _print_table(devices: list[DeviceInfo]) -> None:
    from toolkit.cli.tables import Column, line_width, print_folded, print_table

    width = line_width()
    columns = (
        Column("SERIAL"),
        Column("NAME", rank=1),
        Column("KIND", rank=3),
        Column("STATE"),
        Column("MODEL", rank=2, least=16),
        Column("ABI", rank=5),
        Column("SYSTEM", rank=6, least=12),
        Column("FREE", rank=4, numeric=True),
        Column("USED", rank=7, numeric=True),
    )
    print_table(columns, [_row(device) for device in devices], width=width)
    for device in devices:
        if device.advice:
            print_folded(f"{device.serial}: {device.advice}", width=width, indent="  ")


def _row(device: DeviceInfo) -> tuple[str, ...]:
    return (
        device.serial,
        device.name or (device.identity if device.identity != device.serial else None) or "-",
        f"{device.kind}, emulated" if device.emulated else device.kind,
        device.state,
        " ".join(filter(None, (device.manufacturer, device.model))) or "?",
        device.abi or "?",
        device.os_version or "?",
        f"{device.free_bytes / 1e9:.1f} GB" if device.free_bytes is not None else "?",
        f"{device.used_bytes / 1e6:.0f} MB" if device.used_bytes is not None else "?",
    )
