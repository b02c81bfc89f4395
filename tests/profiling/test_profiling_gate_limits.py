"""What the gate's limits say of readings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate_readings import FINE

from toolkit.devices.base import Readings
from toolkit.errors import UsageError
from toolkit.profiling.gate.limits import Limits, Verdict, judge, limits_for, unreadable
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.request import ProfileRequest

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
