"""The gate's judgement, on readings as devices give them."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from toolkit.devices.base import CommandResult, Device, Readings
from toolkit.errors import DeviceError, DeviceLost, GateTimeout, UsageError
from toolkit.profiling.gate.keeper import GateKeeper
from toolkit.profiling.gate.limits import Limits, Verdict, judge, limits_for, unreadable
from toolkit.profiling.gate.moments import Moment, parse_moments
from toolkit.profiling.gate.throttling import Throttling, throttling, throttling_by_repetition
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.request import ProfileRequest

FINE = Readings(
    unix_ns=1,
    cpu_busy=0.05,
    cpu_frequency_caps_khz=(2_000_000, 2_000_000),
    cpu_maximum_frequencies_khz=(2_000_000, 2_000_000),
    thermal_status=0,
    hottest_cpu_celsius=33.5,
    battery_percent=80,
    charging=False,
    screen_on=False,
)
DEFAULT = limits_for(GateOptions(), "adb")
STRICT = limits_for(GateOptions(name="strict"), "adb")


@pytest.mark.parametrize("limits", [DEFAULT, STRICT, Limits()])
def test_a_cool_idle_charged_phone_passes(limits: Limits) -> None:
    assert judge(FINE, limits) == Verdict()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"thermal_status": 1}, "thermal status 1 (at most 0)"),
        ({"hottest_cpu_celsius": 52.26}, "hottest CPU zone 52.3 C (at most 40)"),
        ({"cpu_busy": 0.45}, "CPU busy 45% (at most 30%)"),
        ({"battery_percent": 12, "charging": True}, "battery 12% (at least 20%)"),
    ],
)
def test_what_is_in_the_way_is_said_with_its_figures(change: dict[str, object], words: str) -> None:
    assert judge(replace(FINE, **change), DEFAULT) == Verdict(unmet=(words,))


def test_only_strict_asks_for_a_dark_screen() -> None:
    lit = replace(FINE, screen_on=True)
    assert judge(lit, DEFAULT) == Verdict()
    assert judge(lit, STRICT).unmet == ("the screen is on",)


@pytest.mark.parametrize(
    ("options", "met"),
    [({}, False), ({"runner": "app"}, True), ({"runner": "app", "app_state": "service"}, False)],
)
def test_an_app_in_front_lights_the_screen_and_is_asked_for_no_dark_one(
    options: dict[str, str], met: bool
) -> None:
    asked = ProfileRequest.of(gate=GateOptions(name="strict"), **options)
    limits = limits_for(asked.gate, "adb", lit=asked.lights_screen)
    assert (judge(replace(FINE, screen_on=True), limits) == Verdict()) is met
    # All else is asked for as before.
    assert limits.model_copy(update={"screen_on": False}) == STRICT


def test_limits_are_met_at_their_exact_value() -> None:
    edge = replace(FINE, hottest_cpu_celsius=40.0, cpu_busy=0.3, battery_percent=20)
    assert judge(edge, DEFAULT) == Verdict()


def test_a_battery_that_drains_below_the_limit_is_not_worth_waiting_for() -> None:
    assert judge(replace(FINE, battery_percent=5), DEFAULT).hopeless
    assert not judge(replace(FINE, battery_percent=5, charging=True), DEFAULT).hopeless
    assert not judge(replace(FINE, battery_percent=5, charging=None), DEFAULT).hopeless
    assert not judge(replace(FINE, hottest_cpu_celsius=90.0), DEFAULT).hopeless


def test_what_cannot_be_read_is_named_and_blocks_nothing() -> None:
    verdict = judge(Readings(unix_ns=1), STRICT)
    names = ("thermal_status", "hottest_cpu_celsius", "cpu_busy", "battery_percent", "screen_on")
    assert verdict == Verdict(unreadable=names)
    before = Moment("before", None, Readings(unix_ns=1))
    moments = [
        before,
        Moment("before", 0, replace(FINE, hottest_cpu_celsius=None)),
        Moment("before", 1, FINE),
    ]
    assert unreadable(moments, STRICT) == ("hottest_cpu_celsius",)
    assert unreadable(moments, Limits()) == ()


def test_this_machine_is_not_judged_like_a_phone() -> None:
    desktop = Readings(unix_ns=1, cpu_busy=0.9, hottest_cpu_celsius=58.0)
    assert judge(desktop, limits_for(GateOptions(), "local")).unmet == ()
    assert judge(desktop, limits_for(GateOptions(name="strict"), "local")).unmet == (
        "CPU busy 90% (at most 20%)",
    )


def test_a_board_may_be_warmer_than_a_phone_and_needs_no_battery() -> None:
    board = Readings(unix_ns=1, cpu_busy=0.1, hottest_cpu_celsius=52.0)
    assert judge(board, limits_for(GateOptions(), "ssh")) == Verdict()
    assert judge(board, limits_for(GateOptions(), "adb")).unmet


def test_given_limits_replace_those_of_the_gate() -> None:
    options = GateOptions.of(name="strict", max_celsius=45, max_cpu_busy=None, min_battery_percent=0)
    limits = limits_for(options, "adb")
    assert limits == STRICT.model_copy(update={"max_celsius": 45.0, "min_battery_percent": 0})
    assert limits_for(GateOptions.of(name="off", time_limit_s=10), "adb") == Limits()


@pytest.mark.parametrize(
    ("name", "limits"),
    [("tight", {}), ("", {}), ("off", {"max_celsius": 40.0}), ("off", {"max_cpu_busy": 0.1})],
)
def test_gates_that_mean_nothing_are_refused(name: str, limits: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        GateOptions.of(name=name, **limits)


def test_throttling_shows_in_the_status_and_in_the_frequency_caps() -> None:
    assert throttling(FINE, FINE) == Throttling(shown=False)
    assert throttling(FINE, replace(FINE, thermal_status=2)) == Throttling(
        True, "thermal status rose from 0 to 2"
    )
    capped = replace(FINE, cpu_frequency_caps_khz=(2_000_000, 1_400_000))
    assert throttling(FINE, capped) == Throttling(True, "frequency cap fell from 2.00 to 1.40 GHz on 1 CPUs")
    # An idle CPU's low clock is no throttling.
    assert throttling(FINE, replace(FINE, cpu_frequencies_khz=(300_000, 300_000))).shown is False


def test_without_a_sign_to_read_nobody_knows_about_throttling() -> None:
    blind = replace(FINE, thermal_status=None, cpu_frequency_caps_khz=None)
    assert throttling(blind, FINE) == throttling(FINE, blind) == Throttling()
    assert throttling(replace(FINE, thermal_status=None), FINE).shown is False
    # A core that went offline leaves lists of different length, which say nothing.
    fewer = replace(blind, cpu_frequency_caps_khz=(1,))
    assert throttling(replace(blind, cpu_frequency_caps_khz=(2, 2)), fewer) == Throttling()


CPUS = replace(
    FINE,
    online_cpus=(0, 1, 2, 3),
    cpu_frequency_caps_khz=(1_800_000, 1_800_000, 2_400_000, 2_400_000),
    cpu_maximum_frequencies_khz=(1_800_000, 1_800_000, 2_400_000, 2_400_000),
)


def test_healthy_cores_at_their_full_clocks_are_not_throttled_whatever_the_status_says() -> None:
    assert throttling(CPUS, CPUS) == Throttling(False)
    assert throttling(replace(CPUS, thermal_status=None), replace(CPUS, thermal_status=None)) == Throttling(
        False
    )


@pytest.mark.parametrize(
    ("before", "after", "sign"),
    [
        (
            {},
            {"online_cpus": (0, 1), "cpu_frequency_caps_khz": (1_800_000, 1_800_000, None, None)},
            "CPUs 2-3 went off line",
        ),
        ({}, {"online_cpus": (0, 1, 3)}, "CPU 2 went off line"),
        (
            {"cpu_frequency_caps_khz": (600_000, 600_000, 600_000, 600_000)},
            {"cpu_frequency_caps_khz": (600_000, 600_000, 600_000, 600_000)},
            "capped at 0.60 of 2.40 GHz on 4 CPUs from the start",
        ),
        (
            {"cpu_frequency_caps_khz": (1_800_000, 1_800_000, 1_200_000, 2_400_000)},
            {},
            "capped at 1.20 of 2.40 GHz on 1 CPUs from the start",
        ),
        (
            {"online_cpus": (0, 1, 2), "cpu_frequency_caps_khz": (1_800_000, 1_800_000, 2_400_000, None)},
            {"cpu_frequency_caps_khz": (1_800_000, 1_800_000, 2_400_000, 600_000)},
            "capped at 0.60 of 2.40 GHz on 1 CPUs",
        ),
        ({"thermal_status": 2}, {"thermal_status": 2}, "thermal status 2 from the start"),
        ({"thermal_status": 1}, {"thermal_status": None}, "thermal status 1 from the start"),
    ],
)
def test_cores_switched_off_and_low_caps_are_throttling(
    before: dict[str, object], after: dict[str, object], sign: str
) -> None:
    assert throttling(replace(CPUS, **before), replace(CPUS, **after)) == Throttling(True, sign)


@pytest.mark.parametrize(
    ("before", "after", "doubt"),
    [
        ({}, {"cpu_frequency_caps_khz": None}, "read only once"),
        ({"cpu_frequency_caps_khz": None}, {}, "read only once"),
        ({}, {"cpu_frequency_caps_khz": (1_800_000, None, 2_400_000, None)}, "CPUs 1,3 could not be read"),
        ({}, {"thermal_status": None}, "thermal status could not be read any more"),
        ({}, {"online_cpus": None}, "on line could not be read any more"),
        (
            {"online_cpus": (0, 1), "cpu_frequency_caps_khz": (1_800_000, 1_800_000, None, None)},
            {"online_cpus": (0, 1), "cpu_frequency_caps_khz": (1_800_000, 1_800_000, None, None)},
            "CPUs 2-3 were off line before and after",
        ),
        # Equal caps, but nobody knows how high they could be, and a status of none does not say it.
        *(
            (change, change, f"highest frequency of {cpus} cannot be read")
            for change, cpus in (
                ({"cpu_maximum_frequencies_khz": None}, "CPUs 0-3"),
                ({"cpu_maximum_frequencies_khz": None, "cpu_frequency_caps_khz": (600_000,) * 4}, "CPUs 0-3"),
                ({"cpu_maximum_frequencies_khz": None, "thermal_status": None}, "CPUs 0-3"),
                ({"cpu_maximum_frequencies_khz": (1_800_000, 1_800_000, 2_400_000, None)}, "CPU 3"),
                ({"cpu_maximum_frequencies_khz": (1_800_000, 1_800_000)}, "CPUs 2-3"),
            )
        ),
        (
            {"cpu_frequency_caps_khz": (1_800_000, 1_800_000, 2_400_000, None)},
            {"cpu_frequency_caps_khz": (1_800_000, 1_800_000, 2_400_000, None)},
            "caps of CPU 3 cannot be read",
        ),
        (
            {"cpu_frequency_caps_khz": None, "thermal_status": None},
            {"cpu_frequency_caps_khz": None, "thermal_status": None},
            "neither",
        ),
    ],
)
def test_what_cannot_be_compared_is_unknown_and_says_why(
    before: dict[str, object], after: dict[str, object], doubt: str
) -> None:
    found = throttling(replace(CPUS, **before), replace(CPUS, **after))
    assert found.shown is None and doubt in (found.words or "")


_READABLE = st.one_of(st.none(), st.sampled_from([300_000, 600_000, 2_200_000, 2_400_000]))
_ANY_READINGS = st.builds(
    Readings,
    unix_ns=st.just(1),
    thermal_status=st.one_of(st.none(), st.integers(0, 6)),
    online_cpus=st.one_of(st.none(), st.sets(st.integers(0, 3)).map(lambda cpus: tuple(sorted(cpus)))),
    cpu_frequency_caps_khz=st.one_of(st.none(), st.tuples(*[_READABLE] * 4)),
    cpu_maximum_frequencies_khz=st.one_of(st.none(), st.just((2_400_000,) * 4)),
)


@given(_ANY_READINGS, _ANY_READINGS)
def test_not_throttled_is_only_said_of_what_was_seen_to_be_well(before: Readings, after: Readings) -> None:
    found = throttling(before, after)
    assert found.shown is None or (found.sign is not None) == found.shown
    if found.shown is not False:
        return
    caps = (before.cpu_frequency_caps_khz, after.cpu_frequency_caps_khz)
    assert before.thermal_status in (0, None) and after.thermal_status in (0, None)
    assert (caps[0] is None) == (caps[1] is None)
    maxima = after.cpu_maximum_frequencies_khz or before.cpu_maximum_frequencies_khz
    if caps[1] is not None:
        assert maxima is not None and all(cap is not None and cap > 2_000_000 for cap in caps[1])
    else:
        assert after.thermal_status == 0
    if before.online_cpus is not None and after.online_cpus is not None:
        assert set(before.online_cpus) <= set(after.online_cpus)


def test_a_repetition_needs_both_readings() -> None:
    hot = replace(FINE, thermal_status=3)
    moments = [
        Moment("before", None, FINE),
        Moment("before", 0, FINE),
        Moment("after", 0, hot),
        Moment("before", 1, FINE),
        Moment("after", None, hot),
    ]
    assert {index: found.shown for index, found in throttling_by_repetition(moments).items()} == {0: True}


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
