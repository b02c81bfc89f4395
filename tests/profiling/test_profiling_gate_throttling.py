"""Throttling, as readings before and after a repetition show it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gate_readings import FINE
from hypothesis import given
from hypothesis import strategies as st

from toolkit.devices.base import Readings
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.gate.throttling import Throttling, throttling, throttling_by_repetition


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


@pytest.mark.parametrize("caps", [None, (1_800_000, 1_800_000, None, None)])
def test_cores_that_were_off_all_along_are_a_doubt_whatever_else_can_be_read(
    caps: tuple[int | None, ...] | None,
) -> None:
    half = replace(CPUS, thermal_status=0, online_cpus=(0, 1), cpu_frequency_caps_khz=caps)
    found = throttling(half, half, 4)
    assert (found.shown, found.words) == (None, "unknown: CPUs 2-3 were off line before and after")
    # One that came on line meanwhile was not taken away.
    assert throttling(half, replace(CPUS, thermal_status=0, cpu_frequency_caps_khz=caps), 4).shown is (
        False if caps is None else None
    )
    # How many there are is not known: the status alone must do.
    assert throttling(half, half).shown is (False if caps is None else None)


@given(_ANY_READINGS, _ANY_READINGS)
def test_not_throttled_is_only_said_of_what_was_seen_to_be_well(before: Readings, after: Readings) -> None:
    found = throttling(before, after, 4)
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
        assert set(after.online_cpus) == {0, 1, 2, 3}


def test_a_repetition_needs_both_readings() -> None:
    hot = replace(FINE, thermal_status=3)
    moments = [
        Moment("before", None, FINE),
        Moment("before", 0, FINE),
        Moment("after", 0, hot),
        Moment("before", 1, FINE),
        Moment("after", None, hot),
    ]
    assert {index: found.shown for index, found in throttling_by_repetition(moments, 4).items()} == {0: True}
