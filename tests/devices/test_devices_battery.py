"""`dumpsys battery` of several makers; an unknown layout is unknown, never zero."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.battery import Battery, parse_battery
from toolkit.devices.virtual.services import battery_text

BATTERY_PIXEL = """\
Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  Dock powered: false
  Max charging current: 500000
  Max charging voltage: 5000000
  Charge counter: 2863000
  status: 2
  health: 2
  present: true
  level: 67
  scale: 100
  voltage: 4152
  temperature: 284
  technology: Li-ion
  Charging state: 0
  Charging policy: 1
"""
BATTERY_SAMSUNG = """\
Current Battery Service state:
  AC powered: false
  USB powered: false
  Wireless powered: false
  Max charging current: 0
  Max charging voltage: 0
  Charge counter: 3141000
  status: 3
  health: 2
  present: true
  level: 81
  scale: 100
  voltage: 4085
  temperature: 262
  technology: Li-ion
  batteryMiscEvent: 0
  mSecPlugTypeSummary: 0
  LED Charging: false
  current now: -187
  mOnline: false
"""
# Android 7 on a Samsung: lines before the plugs, lines without indentation behind them.
BATTERY_SAMSUNG_OLD = """\
Current Battery Service state:
  mBootCompleted: true
  AC powered: false
  USB powered: true
  Wireless powered: false
  Max charging current: 0
  Charge counter: 0
  status: 2
  health: 2
  present: true
  level: 84
  scale: 100
  voltage: 4063
  temperature: 326
  technology: Li-ion
  current now: 321
USE_FAKE_BATTERY: false
BatteryInfoBackUp
  mSavedBatteryAsoc: 77
"""
# HyperOS writes more lines with the same words in them.
BATTERY_XIAOMI = """\
Current Battery Service state:
  AC powered: true
  USB powered: false
  Wireless powered: false
  Dock powered: false
  Max charging current: 3000000
  Max charging voltage: 9000000
  Charge counter: 2310000
  status: 2
  health: 2
  present: true
  level: 46
  scale: 100
  voltage: 4218
  temperature: 341
  technology: Li-poly
  Quick charge type: 3
  Adapter level: 7
"""
BATTERY_SCALE_1000 = "  AC powered: true\n  level: 455\n  scale: 1000\n  present: true\n"
# A television box: a battery that is not one.
BATTERY_BOX = """\
Current Battery Service state:
  AC powered: true
  USB powered: false
  Wireless powered: false
  status: 5
  present: false
  level: 0
  scale: 100
  voltage: 0
  temperature: 0
"""
# After `dumpsys battery unplug`: what it says is what it was told.
BATTERY_FROZEN = BATTERY_SAMSUNG.replace(":\n", ":\n  (UPDATES STOPPED -- use 'reset' to restart)\n", 1)


@pytest.mark.parametrize(
    ("text", "battery"),
    [
        (BATTERY_PIXEL, Battery(67, True, "usb", 28.4, 2863000)),
        (BATTERY_SAMSUNG, Battery(81, False, "battery", 26.2, 3141000)),
        (BATTERY_SAMSUNG_OLD, Battery(84, True, "usb", 32.6)),
        (BATTERY_XIAOMI, Battery(46, True, "ac", 34.1, 2310000)),
        (BATTERY_SCALE_1000, Battery(46, True, "ac", None)),
        (BATTERY_BOX, Battery(None, True, "ac", None)),
        (BATTERY_FROZEN, Battery()),
        ("  AC powered: false\n  level: 50\n  scale: 100\n", Battery(50, None, None, None)),
        ("  level: 120\n  scale: 100\n", Battery()),
        ("  level: 50\n", Battery()),
        ("  level: fifty\n  scale: 100\n", Battery()),
        ("Can't find service: battery\n", Battery()),
        ("", Battery()),
    ],
)
def test_battery(text: str, battery: Battery) -> None:
    assert parse_battery(text) == battery


@given(st.integers(0, 100), st.booleans())
def test_the_virtual_phones_battery_reads_back(percent: int, charging: bool) -> None:
    battery = Battery(percent, charging, "usb" if charging else "battery", 27.0)
    assert parse_battery(battery_text(percent=percent, charging=charging)) == battery


@pytest.mark.parametrize("plug", ["Pogo powered", "POGO powered", "Keyboard powered"])
def test_a_plug_of_the_makers_own_is_no_battery(plug: str) -> None:
    text = BATTERY_SAMSUNG.replace("  Max charging current", f"  {plug}: true\n  Max charging current")
    assert (parse_battery(text).charging, parse_battery(text).source) == (True, None)
    unplugged = parse_battery(text.replace(f"{plug}: true", f"{plug}: false"))
    assert (unplugged.charging, unplugged.source) == (False, "battery")


@pytest.mark.parametrize(
    ("status", "charging", "source"),
    [
        # android.os.BatteryManager.BATTERY_STATUS_*: unknown, charging, discharging, not charging, full.
        (1, False, "battery"),
        (2, True, None),
        (3, False, "battery"),
        (4, False, "battery"),
        (5, False, "battery"),
    ],
)
def test_a_battery_that_is_charged_without_a_named_plug_is_not_unplugged(
    status: int, charging: bool, source: str | None
) -> None:
    battery = parse_battery(BATTERY_SAMSUNG.replace("status: 3", f"status: {status}"))
    assert (battery.charging, battery.source) == (charging, source)


def test_a_second_battery_does_not_stand_for_the_first() -> None:
    second = "Second battery:\n  AC powered: true\n  level: 12\n  scale: 100\n  temperature: 310\n"
    assert parse_battery(BATTERY_SAMSUNG + second) == parse_battery(BATTERY_SAMSUNG)
