"""Listings of /sys/class/power_supply as phones of several makers give them to the shell."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.power_supply import (
    SUPPLIES_SCRIPT,
    PowerSupply,
    battery_with_counters,
    parse_power_supplies,
)

# Tensor: a battery of Android's and the fuel gauge behind it; microamperes, negative while discharging.
PIXEL = """\
@@supply /sys/class/power_supply/battery
type Battery
status Discharging
current_now -412500
voltage_now 4012000
@@supply /sys/class/power_supply/dc
type Wireless
online 0
@@supply /sys/class/power_supply/maxfg
type Battery
status Discharging
current_now -411875
voltage_now 4011640
@@supply /sys/class/power_supply/usb
type USB
online 0
"""
# Exynos: milliamperes, microvolts.
SAMSUNG = """\
@@supply /sys/class/power_supply/ac
type Mains
online 0
@@supply /sys/class/power_supply/battery
type Battery
status Discharging
current_now -387
voltage_now 4085000
@@supply /sys/class/power_supply/otg
type Unknown
online 0
@@supply /sys/class/power_supply/sec-fuelgauge
type Unknown
status Discharging
current_now -387
voltage_now 4085000
"""
# Qualcomm: the battery's own files are forbidden to the shell, the battery management system's are not.
QUALCOMM = """\
@@supply /sys/class/power_supply/battery
type Battery
status Discharging
@@supply /sys/class/power_supply/bms
type BMS
current_now 523193
voltage_now 3961442
@@supply /sys/class/power_supply/usb
type USB
online 0
current_now 0
voltage_now 0
"""
# HyperOS: positive while discharging, two cells reported as one.
XIAOMI = """\
@@supply /sys/class/power_supply/batt_manager
type Unknown
@@supply /sys/class/power_supply/battery
type Battery
status Discharging
current_now 689000
voltage_now 8214000
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PIXEL, ("battery", -412500, 4012000)),
        (SAMSUNG, ("battery", -387, 4085000)),
        (QUALCOMM, ("bms", 523193, 3961442)),
        (XIAOMI, ("battery", 689000, 8214000)),
    ],
)
def test_the_battery_with_counters(text: str, expected: tuple[str, int, int]) -> None:
    battery = battery_with_counters(parse_power_supplies(text))
    assert battery is not None
    assert (battery.path.rpartition("/")[2], battery.current, battery.voltage) == expected
    assert battery.current_file == f"{battery.path}/current_now"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@@supply /sys/class/power_supply/*\n",
        "@@supply /sys/class/power_supply/battery\ntype Battery\ncurrent_now \nvoltage_now 4000000\n",
        "@@supply /sys/class/power_supply/battery\ntype Battery\ncurrent_now 0.4 A\nvoltage_now 4000000\n",
        "@@supply /sys/class/power_supply/usb\ntype USB\ncurrent_now 500000\nvoltage_now 5000000\n",
    ],
)
def test_without_readable_counters_there_is_no_battery(text: str) -> None:
    assert battery_with_counters(parse_power_supplies(text)) is None


@given(st.text(st.sampled_from("@supply /x\nrentcu_now volage0123456789-. typeBatry"), max_size=300))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    battery_with_counters(parse_power_supplies(text))


def test_the_script_reads_what_is_there(tmp_path: Path) -> None:
    battery = tmp_path / "BAT0"
    battery.mkdir()
    for name, text in {"type": "Battery", "status": "Full", "current_now": "100", "voltage_now": "1"}.items():
        (battery / name).write_text(f"{text}\n")
    (tmp_path / "AC").mkdir()
    listed = subprocess.run(
        ["sh", "-c", SUPPLIES_SCRIPT, "sh", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert parse_power_supplies(listed.stdout) == [
        PowerSupply(str(tmp_path / "AC")),
        PowerSupply(str(battery), "Battery", "Full", 100, 1),
    ]
