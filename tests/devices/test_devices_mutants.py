"""Mutants of what devices answer: lines lost, doubled, cut, garbled are no traceback, no other value.

A section that was not touched is read as ever.
"""

from __future__ import annotations

import random

import pytest

from toolkit.care.device_findings import parse_facts
from toolkit.devices.adb.description import describe
from toolkit.devices.adb.parsers import parse_devices
from toolkit.devices.readings import interpret_readings
from toolkit.devices.ssh.description import describe as describe_board
from toolkit.devices.virtual.services import battery_text, power_text, thermal_text

_MARK = "@@slm-section "
ANSWER = f"""
@@slm-section getprop
[ro.product.model]: [Pixel 8]
[ro.product.cpu.abi]: [arm64-v8a]
[ro.build.version.sdk]: [34]

@@slm-section df
Filesystem       1K-blocks     Used Available Use% Mounted on
/dev/block/dm-44 113103892 47360284  65612536  42% /data

@@slm-section cpus
possible 0-3
present 0-3
online 0-3
cpu 0 - 300000 1800000 1800000
cpu 3 1 2400000 2400000 2400000

@@slm-section meminfo
MemTotal:        7644232 kB
MemAvailable:    2873660 kB

@@slm-section serialno
R5CT1234567

@@slm-section boot-id
5c1e3f0a-9a40-4c6c-8f13-0d2ab3c4d5e6

@@slm-section page-size
4096

@@slm-section stat-before
cpu  100 20 30 400 50 6 7 8 90 10

@@slm-section stat-after
cpu  200 20 30 700 50 6 7 8 90 10

@@slm-section thermalservice
{thermal_text()}
@@slm-section battery
{battery_text()}
@@slm-section power
{power_text()}
"""


def mutant(seed: int) -> tuple[str, set[str]]:
    """A mutant, and the names of the sections that it may have changed."""
    chance = random.Random(seed)
    lines = ANSWER.splitlines()
    touched: set[str] = set()
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(lines))
        what = chance.choice(("drop", "double", "cut", "garble", "swap", "end"))
        touched |= _around(lines, at)
        if what == "drop":
            lines[at] = ""
        elif what == "double":
            lines.insert(at, lines[at])
        elif what == "cut":
            lines[at] = lines[at][: chance.randint(0, len(lines[at]))]
        elif what == "garble" and lines[at]:
            place = chance.randrange(len(lines[at]))
            lines[at] = lines[at][:place] + chance.choice("\0é9-@[:\t²") + lines[at][place + 1 :]
        elif what == "swap":
            other = chance.randrange(len(lines))
            touched |= _around(lines, other)
            lines[at], lines[other] = lines[other], lines[at]
        elif chance.random() < 0.2:
            touched |= {name for line in range(at, len(lines)) for name in _around(lines, line)}
            lines = [*lines[:at], ""]
    return "\n".join(lines), touched


def _around(lines: list[str], at: int) -> set[str]:
    """The section that a line is in; the one before as well where it is a section's first line, or all."""
    names = [(number, line[len(_MARK) :]) for number, line in enumerate(lines) if line.startswith(_MARK)]
    before = [name for number, name in names if number <= at]
    # A mark that is lost, or comes twice, changes the section before it as well.
    moved = lines[at].startswith(_MARK)
    return set(before[-2:] if moved else before[-1:])


# What is read of each section, and of no other one.
READ: dict[str, tuple[str, ...]] = {
    "stat-before": ("cpu_busy",),
    "stat-after": ("cpu_busy",),
    "cpus": ("online_cpus", "cpu_frequencies_khz", "cpu_frequency_caps_khz", "cpu_maximum_frequencies_khz"),
    "meminfo": ("available_ram_bytes",),
    "thermalservice": ("thermal_status", "hottest_cpu_celsius"),
    "battery": ("battery_percent", "battery_celsius", "charging", "power_source"),
    "power": ("screen_on",),
}
WHOLE = interpret_readings(ANSWER, unix_ns=1)


def check(seed: int) -> None:
    text, touched = mutant(seed)
    readings, info = interpret_readings(text, unix_ns=1), describe("serial", text)
    parse_facts(text)
    parse_devices(text)
    describe_board("ssh:board", text)
    untouched = {field for name, fields in READ.items() if name not in touched for field in fields}
    for field in untouched - {field for name in touched for field in READ.get(name, ())}:
        assert getattr(readings, field) == getattr(WHOLE, field), (seed, field)
    assert readings.thermal_status is None or 0 <= readings.thermal_status <= 6
    assert readings.battery_percent is None or 0 <= readings.battery_percent <= 100
    assert readings.cpu_busy is None or 0 <= readings.cpu_busy <= 1
    assert readings.hottest_cpu_celsius is None or -40 < readings.hottest_cpu_celsius < 150
    assert None in (info.cpu_cores, readings.online_cpus) or info.cpu_cores
    for frequencies in (readings.cpu_frequency_caps_khz, readings.cpu_maximum_frequencies_khz):
        assert all(one is None or one > 0 for one in frequencies or ())


def test_some_mutants() -> None:
    for seed in range(200):
        check(seed)


@pytest.mark.soak
def test_many_mutants() -> None:
    for seed in range(2_000):
        check(seed)
