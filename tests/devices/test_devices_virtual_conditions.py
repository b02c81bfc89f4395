"""What a virtual phone reports, set while it runs and read through adb."""

from __future__ import annotations

import pytest
from virtual_phones import OpenPhone, StartPhone

from toolkit.devices.base import Device
from toolkit.devices.virtual.conditions import Conditions, conditions_of, parse_assignments, set_conditions
from toolkit.devices.virtual.fleet import VirtualPhone, find_phone, start_phone
from toolkit.devices.virtual.hardware import CpuCluster
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import DeviceNotFound, UsageError
from toolkit.settings import Settings


def shell(device: Device, script: str) -> str:
    return device.shell(["sh", "-c", script], timeout_s=15).stdout


@pytest.fixture
def phone(start: StartPhone) -> VirtualPhone:
    return start()


@pytest.fixture
def opened(phone: VirtualPhone, open_phone: OpenPhone) -> Device:
    return open_phone(phone)


def test_a_new_phone_is_cool_charged_and_idle(opened: Device) -> None:
    readings = opened.readings()
    assert (readings.thermal_status, readings.hottest_cpu_celsius) == (0, 32.5)
    assert (readings.battery_percent, readings.charging) == (80, False)
    assert readings.available_ram_bytes == 5 << 30
    assert readings.cpu_busy is not None and readings.cpu_busy < 0.1


def test_conditions_show_in_everything_that_reads_them(phone: VirtualPhone, opened: Device) -> None:
    changed = set_conditions(
        phone,
        thermal_status=3,
        zones={"cpu-0-0": 81.5, "nvme": 40.0},
        battery_percent=12,
        charging=True,
        available_ram_bytes=1 << 30,
        cpu_busy=0.75,
        frequency_fraction=0.5,
    )
    assert conditions_of(phone) == changed
    readings = opened.readings()
    assert (readings.thermal_status, readings.hottest_cpu_celsius) == (3, 81.5)
    assert (readings.battery_percent, readings.charging) == (12, True)
    assert readings.available_ram_bytes == 1 << 30
    assert readings.cpu_busy == pytest.approx(0.75, abs=0.15)
    assert set(readings.cpu_frequencies_khz or ()) == {1_200_000}
    zones = shell(opened, "cat /sys/class/thermal/thermal_zone*/temp")
    assert zones.split() == ["81500", "32500", "30000", "27000", "28000", "40000"]


def test_a_core_that_is_off_keeps_its_place_and_is_still_counted(
    start: StartPhone, open_phone: OpenPhone
) -> None:
    clusters = (CpuCluster(2, part=0xD05, max_khz=1_800_000), CpuCluster(2, 0xD0B, 2_800_000))
    phone = start("cores", clusters=clusters)
    opened = open_phone(phone)
    set_conditions(phone, **parse_assignments(["offline_cpus=1,2", "cap_fraction=0.5"]))
    readings = opened.readings(cpu_window_s=0)
    assert readings.online_cpus == (0, 3)
    assert readings.cpu_frequency_caps_khz == (900_000, None, None, 1_400_000)
    assert readings.cpu_maximum_frequencies_khz == (1_800_000, None, None, 2_800_000)
    assert opened.info().cpu_cores == 4
    set_conditions(phone, **parse_assignments(["offline_cpus=none", "cap_fraction=1"]))
    again = opened.readings(cpu_window_s=0)
    assert again.online_cpus == (0, 1, 2, 3)
    assert (
        again.cpu_frequency_caps_khz
        == again.cpu_maximum_frequencies_khz
        == (1_800_000,) * 2 + (2_800_000,) * 2
    )


def test_the_power_supply_says_what_it_was_told(phone: VirtualPhone, opened: Device) -> None:
    read = "cd /sys/class/power_supply; cat battery/current_now battery/voltage_now battery/status usb/online"
    assert shell(opened, read).split() == ["-310000", "3987000", "Discharging", "0"]
    set_conditions(phone, current_ua=250, voltage_uv=4_200_000, charging=True)
    assert shell(opened, read).split() == ["250", "4200000", "Charging", "1"]
    set_conditions(phone, plug="ac")
    assert shell(opened, read).split()[-1] == "0"


def test_none_takes_a_file_away(phone: VirtualPhone, opened: Device) -> None:
    set_conditions(phone, current_ua=None, zones={"gpu": None})
    assert opened.shell(["cat", "/sys/class/power_supply/battery/current_now"], timeout_s=15).returncode != 0
    assert opened.shell(["cat", "/sys/class/thermal/thermal_zone2/temp"], timeout_s=15).returncode != 0
    assert shell(opened, "cat /sys/class/thermal/thermal_zone2/type") == "gpu\n"


@pytest.mark.parametrize(("screen_on", "state"), [(True, "ON"), (False, "OFF")])
def test_the_screen_shows_in_dumpsys_power(
    phone: VirtualPhone, opened: Device, screen_on: bool, state: str
) -> None:
    set_conditions(phone, screen_on=screen_on)
    assert f"Display Power: state={state}\n" in shell(opened, "dumpsys power")


def test_raw_service_text_lasts_until_the_next_change(phone: VirtualPhone, opened: Device) -> None:
    phone.set_service("battery", "something new\n")
    assert shell(opened, "dumpsys battery") == "something new\n"
    set_conditions(phone, battery_percent=50)
    assert "level: 50\n" in shell(opened, "dumpsys battery")


def test_conditions_survive_a_restart(start: StartPhone, phone_settings: Settings) -> None:
    phone = start()
    set_conditions(phone, battery_percent=33)
    phone.die()
    again = start_phone(PhoneSpec(phone.name, model="Again"), phone_settings)
    assert conditions_of(again).battery_percent == 33
    assert "level: 33\n" in (again.root / "vendor/state/battery.txt").read_text()


def test_the_processor_is_the_one_of_the_spec(start: StartPhone, open_phone: OpenPhone) -> None:
    clusters = (CpuCluster(4, part=0xD05, max_khz=1_800_000, capacity=300), CpuCluster(2, 0xD0B, 2_800_000))
    opened = open_phone(start(clusters=clusters, ram_bytes=4 << 30, page_size_bytes=16384))
    assert shell(opened, "getconf PAGE_SIZE") == "16384\n"
    assert shell(opened, "cat /sys/devices/system/cpu/present") == "0-5\n"
    capacities = shell(opened, "cat /sys/devices/system/cpu/cpu[0-9]/cpu_capacity")
    assert capacities.split() == ["300"] * 4 + ["1024"] * 2
    assert opened.info().ram_bytes == 4 << 30


@pytest.mark.parametrize(
    "wrong",
    [
        {"thermal_status": 7},
        {"battery_percent": -1},
        {"cpu_busy": 1.5},
        {"plug": "solar"},
        {"temperature": 3},
    ],
)
def test_what_no_phone_reports_is_refused(phone: VirtualPhone, wrong: dict[str, object]) -> None:
    before = conditions_of(phone)
    with pytest.raises(UsageError, match=next(iter(wrong))):
        set_conditions(phone, **wrong)
    assert conditions_of(phone) == before == Conditions()


def test_the_command_line_sets_and_shows_conditions(phone: VirtualPhone, opened: Device) -> None:
    words = ["zones.cpu-0-0=81.5", "zones.gpu=none", "charging=true", "current_ua=none", "battery_percent=12"]
    set_conditions(phone, **parse_assignments(words))
    assert conditions_of(phone).zones["gpu"] is None
    assert conditions_of(phone).current_ua is None
    readings = opened.readings()
    assert (readings.hottest_cpu_celsius, readings.charging, readings.battery_percent) == (81.5, True, 12)
    with pytest.raises(UsageError, match="NAME=VALUE"):
        parse_assignments(["battery_percent"])


def test_only_a_virtual_phone_of_this_machine_can_be_set(
    phone: VirtualPhone, phone_settings: Settings
) -> None:
    assert find_phone(phone.serial, phone_settings) == phone
    with pytest.raises(DeviceNotFound, match=phone.serial):
        find_phone("R5CT900ABCD", phone_settings)
