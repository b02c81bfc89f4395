"""What powers this machine, from folders of /sys/class/power_supply as machines have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolkit.devices.host import battery_percent, power_source

Supplies = dict[str, dict[str, str]]

BATTERY = {"type": "Battery", "scope": "System", "status": "Discharging", "capacity": "63"}
MOUSE = {"type": "Battery", "scope": "Device", "status": "Discharging", "capacity": "5"}
IDLE_PORT = {"type": "USB", "online": "0"}
USED_PORT = {"type": "USB", "online": "1"}


def written(folder: Path, supplies: Supplies) -> Path:
    for name, files in supplies.items():
        (folder / name).mkdir()
        for file, text in files.items():
            (folder / name / file).write_text(f"{text}\n")
    return folder


@pytest.mark.parametrize(
    ("supplies", "source", "percent"),
    [
        ({}, None, None),
        ({"AC": {"type": "Mains", "online": "1"}}, "ac", None),
        ({"AC": {"type": "Mains", "online": "1"}, "BAT0": BATTERY | {"status": "Charging"}}, "ac", 63),
        ({"AC": {"type": "Mains", "online": "0"}, "BAT0": BATTERY}, "battery", 63),
        # The port that charges comes before, between and behind empty ones.
        ({"a": USED_PORT, "b": IDLE_PORT, "BAT0": BATTERY}, "usb", 63),
        ({"a": IDLE_PORT, "b": USED_PORT, "c": IDLE_PORT, "BAT0": BATTERY}, "usb", 63),
        ({"a": IDLE_PORT, "b": {"type": "USB_PD", "online": "1"}, "BAT0": BATTERY}, "usb", 63),
        ({"a": IDLE_PORT, "b": IDLE_PORT, "BAT0": BATTERY}, "battery", 63),
        ({"BAT0": BATTERY}, "battery", 63),
        ({"BAT0": BATTERY | {"status": "Full"}}, None, 63),
        # Charged by something that no supply names.
        ({"a": IDLE_PORT, "BAT0": BATTERY | {"status": "Charging"}}, None, 63),
        ({"BAT0": BATTERY, "BAT1": BATTERY | {"status": "Charging"}}, None, 63),
        # A desktop with an idle port, and with a mouse, has no battery.
        ({"ucsi-source-psy-1": IDLE_PORT}, None, None),
        ({"hidpp_battery_0": MOUSE, "ucsi-source-psy-1": IDLE_PORT}, None, None),
        ({"BAT1": BATTERY, "A_mouse": MOUSE, "AC": {"type": "Mains", "online": "1"}}, "ac", 63),
        ({"BAT0": BATTERY | {"capacity": ""}}, "battery", None),
    ],
)
def test_the_power_source_is_the_machines_own(
    tmp_path: Path, supplies: Supplies, source: str | None, percent: int | None
) -> None:
    folder = written(tmp_path, supplies)
    assert (power_source(folder), battery_percent(folder)) == (source, percent)
