"""Text captured from phones and machines of several makers; an unknown layout is unknown, never zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.adb.description import describe
from toolkit.devices.base import Readings
from toolkit.devices.battery import parse_battery
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
from toolkit.devices.thermal import parse_thermal_zones, parse_thermalservice
from toolkit.devices.virtual.services import power_text

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


def test_a_phone_that_answers_nothing_has_no_facts_but_its_serial() -> None:
    info = describe("R58", "")
    assert (info.serial, info.model, info.abi, info.free_bytes, info.emulated) == (
        "R58",
        None,
        None,
        None,
        False,
    )
