"""Mutants of what devices answer: lines lost, doubled, cut, garbled never end in a traceback."""

from __future__ import annotations

import random

import pytest

from toolkit.care.device_findings import parse_facts
from toolkit.devices.adb.description import describe
from toolkit.devices.adb.parsers import parse_devices
from toolkit.devices.readings import interpret_readings
from toolkit.devices.ssh.description import describe as describe_board
from toolkit.devices.virtual.services import battery_text, power_text, thermal_text

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


def mutant(seed: int) -> str:
    chance = random.Random(seed)
    lines = ANSWER.splitlines()
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(lines))
        what = chance.choice(("drop", "double", "cut", "garble", "swap", "end"))
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
            lines[at], lines[other] = lines[other], lines[at]
        elif chance.random() < 0.2:
            lines = [*lines[:at], ""]
    return "\n".join(lines)


def check(seed: int) -> None:
    text = mutant(seed)
    readings, info = interpret_readings(text, unix_ns=1), describe("serial", text)
    parse_facts(text)
    parse_devices(text)
    describe_board("ssh:board", text)
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
