"""Text captured from phones and machines of several makers; an unknown layout is unknown, never zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.adb.description import describe
from toolkit.devices.base import Readings
from toolkit.devices.battery import Battery, parse_battery
from toolkit.devices.conditions import (
    CpuTimes,
    cpu_busy,
    parse_cpu_times,
    parse_df_free_bytes,
    parse_getprop,
    parse_meminfo_bytes,
)
from toolkit.devices.cpus import parse_cpus
from toolkit.devices.readings import interpret_readings
from toolkit.devices.screen import parse_screen_on
from toolkit.devices.sections import split_sections
from toolkit.devices.thermal import Thermal, parse_thermal_zones, parse_thermalservice
from toolkit.devices.virtual.services import battery_text, power_text, thermal_text

DF_TOYBOX = """\
Filesystem       1K-blocks     Used Available Use% Mounted on
/dev/block/dm-44 113103892 47360284  65612536  42% /data
"""
DF_BUSYBOX_WRAPPED = """\
Filesystem           1K-blocks      Used Available Use% Mounted on
/dev/mapper/a-very-long-name-of-a-volume
                      51474912  20148400  28688064  41% /data
"""
DF_POSIX = """\
Filesystem     1024-blocks     Used Available Capacity Mounted on
/dev/fuse        113103892 47360284  65612536      42% /storage/my card
"""
DF_TOOLBOX_2012 = """\
Filesystem               Size     Used     Free   Blksize
/data                   25.9G    12.3G    13.6G   4096
"""
DF_512 = DF_TOYBOX.replace("1K-blocks", "512-blocks")


@pytest.mark.parametrize(
    ("text", "kib"),
    [
        (DF_TOYBOX, 65612536),
        (DF_BUSYBOX_WRAPPED, 28688064),
        (DF_POSIX, 65612536),
        (DF_TOOLBOX_2012, None),
        (DF_512, None),
        ("df: /data: Permission denied\n", None),
        ("Filesystem 1K-blocks Used Available Use% Mounted on\n", None),
        ("", None),
    ],
)
def test_free_space(text: str, kib: int | None) -> None:
    assert parse_df_free_bytes(text) == (kib * 1024 if kib else None)


def test_getprop() -> None:
    text = "[ro.product.model]: [SM-A155F]\r\n[gsm.operator]: []\n[ro.x]: [a]: [b]]\nnoise\n"
    assert parse_getprop(text) == {"ro.product.model": "SM-A155F", "ro.x": "a]: [b]"}


def test_a_property_of_several_lines() -> None:
    text = "noise\n[a]: [1]\n[ro.product.model]: [One]\n\nTwo]\nnoise\n[cut]: [off\n[b]: [2]\n"
    assert parse_getprop(text) == {"a": "1", "ro.product.model": "One]\n\nTwo", "b": "2"}


MEMINFO = "MemTotal:        7644232 kB\nMemFree:          312344 kB\nMemAvailable:    2873660 kB\n"


def test_meminfo() -> None:
    assert parse_meminfo_bytes(MEMINFO, "MemAvailable") == 2873660 * 1024
    assert parse_meminfo_bytes(MEMINFO, "Mem") is None
    assert parse_meminfo_bytes(MEMINFO, "SwapFree") is None
    assert parse_meminfo_bytes("MemAvailable: 12 MB\n", "MemAvailable") is None


def test_cpu_times_leave_guest_time_out_because_user_time_holds_it() -> None:
    text = "cpu  100 20 30 400 50 6 7 8 90 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n"
    assert parse_cpu_times(text) == CpuTimes(total=621, idle=450)


@pytest.mark.parametrize(
    "text", ["", "cpu", "cpu  1 2 3", "cpu0 1 2 3 4", "cat: /proc/stat: Permission denied"]
)
def test_unknown_cpu_times(text: str) -> None:
    assert parse_cpu_times(text) is None


@pytest.mark.parametrize(
    ("before", "after", "busy"),
    [
        (CpuTimes(100, 50), CpuTimes(200, 125), 0.25),
        (CpuTimes(100, 50), CpuTimes(200, 150), 0.0),
        (CpuTimes(100, 50), CpuTimes(100, 50), None),
        (CpuTimes(200, 50), CpuTimes(100, 50), None),
        # iowait can go backwards.
        (CpuTimes(100, 50), CpuTimes(200, 40), 1.0),
        (None, CpuTimes(1, 1), None),
        (CpuTimes(1, 1), None, None),
    ],
)
def test_cpu_busy(before: CpuTimes | None, after: CpuTimes | None, busy: float | None) -> None:
    assert cpu_busy(before, after) == busy


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


THERMAL_PIXEL = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 1
	killed: false
	broadcasts count: -1
Thermal Status: 1
Cached temperatures:
	Temperature{mValue=71.3, mType=0, mName=BIG, mStatus=0}
	Temperature{mValue=29.9, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
HAL Ready: true
HAL connection:
	ThermalHAL AIDL 2  connected: yes
Current temperatures from HAL:
	Temperature{mValue=43.0, mType=0, mName=BIG, mStatus=0}
	Temperature{mValue=44.5, mType=0, mName=LITTLE, mStatus=0}
	Temperature{mValue=60.0, mType=1, mName=G3D, mStatus=0}
	Temperature{mValue=31.2, mType=3, mName=VIRTUAL-SKIN, mStatus=1}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
	TemperatureThreshold{mType=0, mName=BIG, mHotThrottlingThresholds=[NaN, 95.0]}
"""
THERMAL_SAMSUNG_NO_CPU = """\
IsStatusOverride: false
ThermalEventListeners:
	callbacks: 2
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=30.3, mType=2, mName=BATTERY, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
	Temperature{mValue=33.6, mType=3, mName=SKIN, mStatus=0}
	Temperature{mValue=30.3, mType=2, mName=BATTERY, mStatus=0}
"""
# Samsung's own HAL of Android 10: types are numbered otherwise, names say what they mean.
THERMAL_SAMSUNG_SDHMS = """\
IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
 Temperature{mValue=-99.9, mType=6, mName=TYPE_POWER_AMPLIFIER, mStatus=0}
	Temperature{mValue=25.3, mType=4, mName=TYPE_SKIN, mStatus=0}
HAL Ready: true
HAL connection:
	Sdhms connected: yes
Current temperatures from HAL:
	Temperature{mValue=24.0, mType=1, mName=TYPE_CPU, mStatus=0}
	Temperature{mValue=24.4, mType=3, mName=TYPE_BATTERY, mStatus=0}
	Temperature{mValue=25.3, mType=4, mName=TYPE_SKIN, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=TYPE_CPU}
"""
# HyperOS on a Qualcomm: an old cache above live values.
THERMAL_XIAOMI = """\
IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
	Temperature{mValue=88.1, mType=0, mName=CPU7, mStatus=0}
HAL Ready: true
HAL connection:
	ThermalHAL AIDL 2  connected: yes
Current temperatures from HAL:
	Temperature{mValue=32.4, mType=2, mName=battery, mStatus=0}
	Temperature{mValue=37.2, mType=3, mName=skin, mStatus=0}
	Temperature{mValue=45.7, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=52.3, mType=0, mName=CPU7, mStatus=0}
	Temperature{mValue=47.0, mType=1, mName=GPU0, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=3, mType=2, mName=cpufreq-cpu7}
"""
THERMAL_CACHED_ONLY = """\
Thermal Status: 0
Cached temperatures:
 Temperature{mValue=38.5, mType=0, mName=CPU0, mStatus=0}
HAL Ready: false
"""
THERMAL_SENSORS_OFF = """\
Thermal Status: 2
Current temperatures from HAL:
	Temperature{mValue=0.0, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=-274.0, mType=0, mName=CPU1, mStatus=0}
	Temperature{mValue=41000.0, mType=0, mName=CPU2, mStatus=0}
"""
THERMAL_HAL_EMPTY = (
    THERMAL_CACHED_ONLY + "Current temperatures from HAL:\nCurrent cooling devices from HAL:\n"
)


@pytest.mark.parametrize(
    ("text", "thermal"),
    [
        (THERMAL_PIXEL, Thermal(1, 44.5)),
        (THERMAL_SAMSUNG_NO_CPU, Thermal(0, None)),
        # After `cmd thermalservice override-status 0` the status is what somebody said, not what is.
        (
            THERMAL_PIXEL.replace("IsStatusOverride: false", "IsStatusOverride: true"),
            Thermal(None, 44.5),
        ),
        (THERMAL_SAMSUNG_SDHMS, Thermal(0, 24.0)),
        (THERMAL_XIAOMI, Thermal(0, 52.3)),
        (THERMAL_CACHED_ONLY, Thermal(0, 38.5)),
        (THERMAL_SENSORS_OFF, Thermal(2, None)),
        (THERMAL_HAL_EMPTY, Thermal(0, None)),
        ("Thermal Status: 9\n", Thermal(None, None)),
        ("Thermal Status: NONE\n", Thermal(None, None)),
        ("Can't find service: thermalservice\n", Thermal(None, None)),
        ("", Thermal(None, None)),
    ],
)
def test_thermalservice(text: str, thermal: Thermal) -> None:
    assert parse_thermalservice(text) == thermal


def test_thermal_zones_of_cpus_only() -> None:
    text = "cpu-0-0-usr 41200\nbattery 99000\ngpuss-0 88000\ncpuss-1 39000\n"
    text += "cpu-1-0 -274000\ncpu-2 52\ncpu-3 None\n"
    assert parse_thermal_zones(text) == 41.2
    assert parse_thermal_zones("battery 30000\ncpu-1-max-step 95000\n") is None
    assert parse_thermal_zones("BIG 43000\nLITTLE 41000\nG3D 60000\n") == 43.0
    assert parse_thermal_zones("") is None


@pytest.mark.parametrize(
    ("text", "on"),
    [
        (power_text(screen_on=True), True),
        (power_text(screen_on=False), False),
        ("  mWakefulness=Awake\nDisplay Power: state=OFF\n", False),
        ("Display Power: state=DOZE_SUSPEND\n", False),
        # A Pixel with Android 15 prints an object in the display's place.
        (
            "  mWakefulness=Awake\nDisplay Power: com.android.server.power.PowerManagerService$1@ec9ada9\n",
            True,
        ),
        ("  mWakefulness=Dozing\n", False),
        ("  mWakefulness=1\n", None),
        ("Display Power: state=UNKNOWN\n", None),
        ("mWakefulnessChanging=false\n", None),
        ("Can't find service: power\n", None),
        ("", None),
    ],
)
def test_screen(text: str, on: bool | None) -> None:
    assert parse_screen_on(text) is on


def test_a_section_without_a_last_newline_costs_no_other() -> None:
    text = "noise\n\n@@slm-section one\nno newline\n@@slm-section two\n\n@@slm-section three\na\nb\n"
    assert split_sections(text) == {"one": "no newline", "two": "", "three": "a\nb\n"}


def test_a_device_that_answers_nothing_has_no_readings() -> None:
    assert interpret_readings("", unix_ns=7) == Readings(unix_ns=7)


PARSERS: list[Callable[[str], object]] = [
    parse_df_free_bytes,
    parse_getprop,
    parse_cpu_times,
    parse_battery,
    parse_thermalservice,
    parse_thermal_zones,
    parse_cpus,
    parse_screen_on,
    lambda text: describe("serial", text),
    lambda text: interpret_readings(text, unix_ns=0),
]


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text(st.sampled_from("cpu 019:[]{}=,.\n\t%-/KbkBTemperature levelscaleMm"), max_size=200))
def test_no_text_makes_a_parser_fail(parse: Callable[[str], object], text: str) -> None:
    parse(text)


@given(st.integers(0, 100), st.booleans())
def test_the_virtual_phones_battery_reads_back(percent: int, charging: bool) -> None:
    battery = Battery(percent, charging, "usb" if charging else "battery", 27.0)
    assert parse_battery(battery_text(percent=percent, charging=charging)) == battery


@given(st.integers(0, 6), st.floats(10, 110).map(lambda celsius: round(celsius, 1)))
def test_the_virtual_phones_temperature_reads_back(status: int, celsius: float) -> None:
    assert parse_thermalservice(thermal_text(status=status, cpu_celsius=celsius)) == Thermal(status, celsius)


def test_a_phone_that_answers_nothing_has_no_facts_but_its_serial() -> None:
    info = describe("R58", "")
    assert (info.serial, info.model, info.abi, info.free_bytes, info.emulated) == (
        "R58",
        None,
        None,
        None,
        False,
    )
