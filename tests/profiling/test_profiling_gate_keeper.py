"""The gate around each repetition: it waits, looks, opens and gives up."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from gate_readings import FINE
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from toolkit.devices.base import CommandResult, Device, Readings
from toolkit.errors import DeviceError, DeviceLost, GateTimeout, UsageError
from toolkit.profiling.gate.keeper import GateKeeper
from toolkit.profiling.gate.moments import Moment, parse_moments
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.request import ProfileRequest


def test_tokens_give_their_readings_back_once_and_in_order() -> None:
    adapter = TypeAdapter(list[Moment])
    first = [Moment("before", 0, FINE)]
    second = [
        *first,
        Moment("after", 0, replace(FINE, unix_ns=5)),
        Moment("before", 1, replace(FINE, unix_ns=6)),
    ]
    texts = [adapter.dump_json(moments).decode() for moments in (second, first)]
    assert parse_moments(["", "open", *texts, '{"moment": 1}', "[1]"]) == tuple(second)


@given(st.text(max_size=200))
def test_no_token_makes_a_pull_fail(text: str) -> None:
    parse_moments([text])


class ScriptedDevice:
    """Gives one reading after the other and remembers what it was told; the gate asks for nothing else."""

    serial = "phone-1"
    workdir = "/phone"

    def __init__(self, *readings: Readings) -> None:
        self.left = list(readings)
        self.windows: list[float] = []
        self.tokens: list[str] = []
        self.returncode = 0

    def readings(self, *, cpu_window_s: float = 0.5) -> Readings:
        self.windows.append(cpu_window_s)
        if not self.left:
            raise DeviceLost("gone", serial=self.serial)
        return self.left.pop(0)

    def shell(self, argv: list[str], *, timeout_s: float) -> CommandResult:
        self.tokens.append(argv[-2])
        return CommandResult(tuple(argv), self.returncode, "", "sh: No space left on device")


def keeper(device: object, said: list[str], **options: float) -> GateKeeper:
    assert isinstance(device, ScriptedDevice)
    opened: Device = device  # type: ignore[assignment]
    return GateKeeper(opened, "r1", GateOptions(**options), "adb", say=said.append, poll_s=0.01)  # type: ignore[arg-type]


def test_a_pause_comes_before_every_repetition_and_before_the_look_at_the_device() -> None:
    device, began = ScriptedDevice(FINE, FINE), time.monotonic()
    gate = GateKeeper(device, "r1", GateOptions(), "adb", say=lambda text: None, pause_s=0.2)  # type: ignore[arg-type]
    for index in (0, 1):
        gate.on_line(json.dumps({"record": "gate", "index": index}, separators=(",", ":")))
        assert time.monotonic() - began >= 0.2 * (index + 1)
    assert len(gate.moments) == 2


def test_a_gate_that_watches_reads_and_asks_for_nothing() -> None:
    hot = replace(FINE, hottest_cpu_celsius=90.0, thermal_status=3, cpu_busy=1.0)
    device = ScriptedDevice(hot)
    gate = GateKeeper(device, "r1", GateOptions(name="watch"), "adb", say=lambda text: None)  # type: ignore[arg-type]
    gate.on_line('{"record":"gate","run_id":"r1","index":0,"unix_ns":1}')
    assert [moment.readings for moment in gate.moments] == [hot] and device.tokens
    with pytest.raises(UsageError, match="gate watch"):
        GateOptions.of(name="watch", max_celsius=50)


def test_a_pause_without_a_gate_is_refused_and_the_runner_waits_as_long() -> None:
    with pytest.raises(UsageError, match="pause"):
        ProfileRequest.of(pause_s=10, gate="off")
    plain, rested = ProfileRequest.of(), ProfileRequest.of(pause_s=60)
    assert rested.gate_timeout_s == plain.gate_timeout_s + 60
    assert rested.identity() != plain.identity()


def test_a_hot_phone_is_waited_for_and_said_once() -> None:
    hot = replace(FINE, hottest_cpu_celsius=50.0)
    device, said = ScriptedDevice(hot, hot, FINE, FINE, FINE), list[str]()
    gate = keeper(device, said)
    gate.on_line('{"record":"start"}')
    gate.on_line('{"record":"gate","run_id":"r1","index":0,"unix_ns":1}')
    assert device.tokens == ["/phone/runs/r1/open-0"]
    assert said == ["phone-1: repetition 0 waits: hottest CPU zone 50.0 C (at most 40)"]
    gate.on_line('{"record":"repetition","run_id":"r1","index":0}')
    gate.on_line('{"record":"gate","run_id":"r1","index":1,"unix_ns":1}')
    assert [(moment.moment, moment.repetition) for moment in gate.moments] == [
        ("before", 0), ("after", 0), ("before", 1),
    ]  # fmt: skip
    assert device.windows == [0.3, 0.3, 0.3, 0, 0.3]
    assert len(device.tokens) == 2


@pytest.mark.parametrize("line", ["", "garbage", '{"record":"gate"', '{"record":"gate","index":"x"}', "[]"])
def test_other_lines_and_broken_ones_open_nothing(line: str) -> None:
    device = ScriptedDevice()
    keeper(device, []).on_line(line)
    assert (device.windows, device.tokens) == ([], [])


def test_a_phone_that_stays_hot_ends_the_run_with_its_last_readings() -> None:
    hot = replace(FINE, hottest_cpu_celsius=61.0)
    device = ScriptedDevice(*[hot] * 1000)
    with pytest.raises(GateTimeout, match=r"repetition 3 after 0 s: hottest CPU zone 61.0 C") as caught:
        keeper(device, [], time_limit_s=0.05).on_line('{"record":"gate","index":3}')
    assert device.tokens == [] and 2 <= len(device.windows) < 50
    assert "phone-1" in str(caught.value) and "--gate off" in str(caught.value)


def test_an_empty_battery_ends_the_run_at_once() -> None:
    device = ScriptedDevice(replace(FINE, battery_percent=3))
    with pytest.raises(GateTimeout, match="battery 3%"):
        keeper(device, []).on_line('{"record":"gate","index":0}')


def test_a_gate_that_cannot_be_opened_ends_the_run() -> None:
    device = ScriptedDevice(FINE)
    device.returncode = 1
    with pytest.raises(DeviceError, match="gate of repetition 0 cannot be opened.*No space left"):
        keeper(device, []).on_line('{"record":"gate","index":0}')


def test_the_runner_waits_longer_than_the_host() -> None:
    options = GateOptions()
    assert options.runner_timeout_s >= options.time_limit_s + 30
