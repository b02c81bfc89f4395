"""Energy from counters: unit and sign found out, baseline subtracted, no figure where there can be none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from described_runs import as_text, description, result_records
from hypothesis import given
from hypothesis import strategies as st

from toolkit.artifact import Artifact
from toolkit.devices.base import Readings
from toolkit.profiling.description import RunDescription
from toolkit.profiling.energy.counter_units import Calibration, ChargeChange, Uncalibrated, calibrate
from toolkit.profiling.energy.net import energy_of
from toolkit.profiling.energy.power_curve import PowerCurve
from toolkit.profiling.energy_options import EnergyOptions
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.records import Power, Result
from toolkit.profiling.run_rows import stored_run
from toolkit.profiling.session.ending import Ending
from toolkit.profiling.session.result_check import checked_result

MS = 1_000_000
INTERVAL_MS = 100
BASELINE = (1_000 * MS, 11_000 * MS)
# Three repetitions of 3 s of prefill and 2 steps of 1.5 s, one second apart.
STARTS = [12_000 * MS, 19_000 * MS, 26_000 * MS]
PREFILL_NS, STEP_NS = 3_000 * MS, 1_500 * MS
LAST_NS = 33_000 * MS
IDLE_A, LOAD_A, VOLTS = 0.3, 1.5, 4.0


def amperes(at_ns: int) -> float:
    loaded = any(start <= at_ns <= start + PREFILL_NS + 2 * STEP_NS for start in STARTS)
    # A gauge's last digits are never quiet.
    noise = 0.001 if at_ns // (INTERVAL_MS * MS) % 2 else -0.001
    return (LOAD_A if loaded else IDLE_A) + noise


def power(
    *, to_current: Callable[[float], int] = lambda a: round(-1e6 * a), to_voltage: float = 1e6
) -> Power:
    times = list(range(0, LAST_NS + 1, INTERVAL_MS * MS))
    return Power(
        record="power",
        run_id="0123456789abcdef",
        current_file="/sys/class/power_supply/battery/current_now",
        voltage_file="/sys/class/power_supply/battery/voltage_now",
        interval_ms=INTERVAL_MS,
        baseline_start_ns=BASELINE[0],
        baseline_end_ns=BASELINE[1],
        unreadable=0,
        monotonic_ns=times,
        current=[to_current(amperes(at)) for at in times],
        voltage=[round(VOLTS * to_voltage)] * len(times),
    )


LOAD = [(start, start + PREFILL_NS + 2 * STEP_NS) for start in STARTS[1:]]


@pytest.mark.parametrize(
    ("maker", "to_current", "to_voltage", "expected"),
    [
        ("Pixel", lambda a: round(-1e6 * a), 1e6, ("uA", "uV", -1)),
        ("Qualcomm", lambda a: round(1e6 * a), 1e6, ("uA", "uV", 1)),
        ("Samsung", lambda a: round(-1e3 * a), 1e6, ("mA", "uV", -1)),
        ("Huawei", lambda a: round(-1e3 * a), 1e3, ("mA", "mV", -1)),
        ("Xiaomi", lambda a: round(1e3 * a), 1e3, ("mA", "mV", 1)),
    ],
)
def test_unit_and_sign_are_found_out(
    maker: str, to_current: Callable[[float], int], to_voltage: float, expected: tuple[str, str, int]
) -> None:
    samples = power(to_current=to_current, to_voltage=to_voltage)
    found = calibrate(samples, LOAD, unplugged=True)
    assert (found.current_unit, found.voltage_unit, found.discharge_sign) == expected
    assert (found.sign_from, found.gauge_ns) == ("unplugged", INTERVAL_MS * MS)
    assert found.watts(samples.current[130], samples.voltage[130]) == pytest.approx(6.0, rel=0.01)


@pytest.mark.parametrize("sign", [1, -1])
def test_with_a_charger_the_load_shows_the_sign(sign: int) -> None:
    """The charger gives 2 A: the battery is charged with 1.7 A idle and 0.5 A under load."""
    samples = power(to_current=lambda a: round(sign * 1e6 * (a - 2)))
    found = calibrate(samples, LOAD, unplugged=False)
    assert (found.discharge_sign, found.sign_from) == (sign, "load")


@pytest.mark.parametrize(
    ("samples", "why"),
    [
        (power(to_current=lambda a: 0), "does not change"),
        (power(to_current=lambda a: round(-2e4 * a)), "neither microamperes nor milliamperes"),
        (power(to_current=lambda a: round(1e9 * a)), "neither microamperes nor milliamperes"),
        # A phone that computes with 6 A and idles with 3: idle says that it cannot be.
        (power(to_current=lambda a: round(-1e3 * a * (4 if a > 1 else 10))), "not proven"),
        (power(to_current=lambda a: round(-1e6 * a if a > 1 else -100 * a)), "not proven"),
        (power(to_voltage=1.0), "neither microvolts nor millivolts"),
        (power(to_current=lambda a: round(1e6 * a) * (-1 if round(1e3 * a) % 2 else 1)), "changes its sign"),
    ],
)
def test_samples_that_no_phone_gives_are_refused(samples: Power, why: str) -> None:
    if why == "changes its sign":
        flipped = [value * (-1) ** index for index, value in enumerate(samples.current)]
        samples = samples.model_copy(update={"current": flipped})
    with pytest.raises(Uncalibrated, match=why):
        calibrate(samples, LOAD, unplugged=True)


def with_charger(idle: float, load: float) -> Power:
    """Currents as numbers, with a charger attached."""
    return power(to_current=lambda a: round((load if a > 1 else idle) * (1 + (a - round(a, 1)))))


@pytest.mark.parametrize(
    ("idle", "load"),
    [(-900, -12_000), (-300, -900), (-900, -40_000), (3200, 2100), (-4000, -15_000), (900, -900)],
    ids=[
        "48 W read as milliamperes",
        "0.9 mA",
        "40 mA",
        "a charger in milliamperes",
        "a watch",
        "turns round",
    ],
)
def test_with_a_charger_small_numbers_prove_no_unit(idle: float, load: float) -> None:
    """A battery held at its charge limit gives next to nothing: 0.05 W must not become 48."""
    with pytest.raises(Uncalibrated, match="not proven"):
        calibrate(with_charger(idle, load), LOAD, unplugged=False)


def test_without_a_charger_what_only_a_watch_draws_is_refused() -> None:
    with pytest.raises(Uncalibrated, match="neither"):
        calibrate(with_charger(-4000, -15_000), LOAD, unplugged=True)


def hours(milliampere_hours: float, minutes: float = 1) -> ChargeChange:
    """Positive: the battery was charged."""
    return ChargeChange(round(1000 * milliampere_hours), round(minutes * 60e9))


@pytest.mark.parametrize(
    ("idle", "load", "charge", "unit"),
    [
        # 3.2 A down to 2.1 A into the battery, about 48 mAh in a minute.
        (3200, 2100, hours(45), "mA"),
        (3_200_000, 2_100_000, hours(45), "uA"),
        (3_200_000, 2_100_000, None, "uA"),
        # 60 and 180 mA in microamperes: 2 mAh a minute, 20 in ten.
        (-60_000, -180_000, hours(-20, 10), "uA"),
        (-20_000, -180_000, hours(-20, 10), "uA"),
    ],
)
def test_the_batterys_charge_proves_a_unit(
    idle: float, load: float, charge: ChargeChange | None, unit: str
) -> None:
    assert calibrate(with_charger(idle, load), LOAD, unplugged=False, charge=charge).current_unit == unit


def test_a_charge_that_speaks_against_the_unit_costs_the_figures() -> None:
    samples = power(to_current=lambda a: round(-1e3 * a))
    assert calibrate(samples, LOAD, unplugged=True, charge=hours(-14)).current_unit == "mA"
    assert calibrate(samples, LOAD, unplugged=True, charge=hours(0)).current_unit == "mA"
    micro = power(to_current=lambda a: round(-1e6 * a))
    with pytest.raises(Uncalibrated, match="charge says mA"):
        calibrate(micro, LOAD, unplugged=True, charge=hours(-14_000))


# Held at its charge limit, the battery gives 80 mA; then 1.2 A flow in or out, 20 mAh in a minute.
@pytest.mark.parametrize("positive", [1, -1], ids=["positive while charging", "negative while charging"])
def test_charging_that_sets_in_under_load_is_not_read_as_drawing(positive: int) -> None:
    samples = with_charger(-80_000 * positive, 1_200_000 * positive)
    with pytest.raises(Uncalibrated, match="charge rose against the direction"):
        calibrate(samples, LOAD, unplugged=False, charge=hours(20))
    drawn = calibrate(samples, LOAD, unplugged=False, charge=hours(-20))
    assert drawn.discharge_sign == positive
    # Two steps of a coarse counter tell nothing.
    assert calibrate(samples, LOAD, unplugged=False, charge=hours(2)).discharge_sign == positive


def test_a_charger_that_helps_under_load_is_not_read_as_charging() -> None:
    """The battery gives 1.2 A idle and, as the charger sets in, 0.5 A under load."""
    samples = with_charger(1_200_000, 500_000)
    assert calibrate(samples, LOAD, unplugged=False, charge=hours(14)).discharge_sign == -1
    with pytest.raises(Uncalibrated, match="charge fell against the direction"):
        calibrate(samples, LOAD, unplugged=False, charge=hours(-14))


@given(
    st.floats(1e-4, 20),
    st.floats(1e-4, 20),
    st.sampled_from([1e6, 1e3]),
    st.booleans(),
    st.sampled_from([1, -1]),
)
def test_a_unit_that_is_given_is_never_the_wrong_one(
    idle_amperes: float, load_amperes: float, per_ampere: float, unplugged: bool, sign: int
) -> None:
    """Whatever flows, a wrong unit is a thousandfold error: none is better."""
    if unplugged and not (0.02 <= idle_amperes <= 2.5 and 0.05 <= load_amperes <= 8):
        # Without a charger, this is what phones draw.
        return
    samples = with_charger(sign * idle_amperes * per_ampere, sign * load_amperes * per_ampere)
    try:
        found = calibrate(samples, LOAD, unplugged=unplugged)
    except Uncalibrated:
        return
    assert found.current_unit == ("uA" if per_ampere == 1e6 else "mA")


def test_a_run_too_short_for_samples_is_refused() -> None:
    with pytest.raises(Uncalibrated, match="only 0 samples under load"):
        calibrate(power(), [(5, 6)], unplugged=True)


def test_a_charger_that_serves_the_load_hides_the_sign() -> None:
    with pytest.raises(Uncalibrated, match="does not follow the load"):
        calibrate(power(to_current=lambda a: round(1e6 + 1e3 * a)), LOAD, unplugged=False)


CURVE = PowerCurve(times_ns=[0, 10, 20, 30], watts=[1.0, 3.0, 3.0, 1.0], longest_gap_ns=10)


@pytest.mark.parametrize(
    ("start", "end", "watts"),
    [(0, 10, 2.0), (5, 10, 2.5), (10, 20, 3.0), (12, 18, 3.0), (0, 30, 7 / 3), (25, 30, 1.5)],
)
def test_the_area_under_straight_lines(start: int, end: int, watts: float) -> None:
    assert CURVE.mean_watts(start, end) == pytest.approx(watts)
    assert CURVE.joules(start, end) == pytest.approx(watts * (end - start) / 1e9)


@pytest.mark.parametrize(("start", "end"), [(-1, 5), (5, 31), (5, 5), (40, 50)])
def test_nothing_is_made_up_outside_of_the_samples(start: int, end: int) -> None:
    assert CURVE.joules(start, end) is None
    assert PowerCurve([], [], 10).joules(0, 1) is None


def test_nothing_is_made_up_in_a_gap() -> None:
    holed = PowerCurve(times_ns=[0, 10, 50, 60], watts=[1.0] * 4, longest_gap_ns=10)
    assert holed.joules(0, 10) is not None and holed.joules(50, 60) is not None
    for start, end in ((5, 55), (20, 30), (0, 60), (9, 11)):
        assert holed.joules(start, end) is None


@given(
    st.lists(st.floats(0, 20), min_size=2, max_size=30),
    st.floats(0.01, 0.99),
)
def test_parts_add_up_to_the_whole(watts: list[float], share: float) -> None:
    end = 1000 * (len(watts) - 1)
    curve = PowerCurve([1000 * index for index in range(len(watts))], watts, 1000)
    middle = max(1, min(end - 1, round(share * end)))
    parts = [curve.joules(0, middle), curve.joules(middle, end)]
    assert None not in parts
    assert sum(part or 0 for part in parts) == pytest.approx(curve.joules(0, end))


def unplugged(**changes: object) -> list[Moment]:
    before = Readings(unix_ns=1, charging=False, battery_celsius=28.0, hottest_cpu_celsius=33.0)
    after = Readings(unix_ns=2, charging=False, battery_celsius=30.5, hottest_cpu_celsius=61.0)
    return [Moment("before", None, before), Moment("after", 1, after), Moment("after", None, before)]


def run_of(artifact: Artifact, options: EnergyOptions) -> RunDescription:
    run = description(artifact)
    return run.model_copy(update={"options": run.options.model_copy(update={"energy": options})})


def result_with(run: RunDescription, samples: Power, *, prefill_ns: int = PREFILL_NS) -> Result:
    records = result_records(run)
    for record in records:
        if record["record"] == "repetition":
            record["started_ns"] = STARTS[record["index"]]
            record["prefill_ns"] = prefill_ns
            record["decode_ns"] = [STEP_NS, STEP_NS]
    *head, memory, end = records
    end["records"] += 1
    return checked_result(as_text([*head, samples.model_dump(), memory, end]), run)


def test_joules_are_net_of_the_idle_baseline(artifact: Artifact) -> None:
    options = EnergyOptions()
    run = run_of(artifact, options)
    found = energy_of(result_with(run, power()), unplugged(), options)
    assert found is not None
    figures, method, parts = found.figures, found.method, found.repetitions
    # 4 V and 1.2 A more than idle: 4.8 W for 3 s of prefill and 3 s of decode.
    assert figures["baseline_watts"] == pytest.approx(1.2, rel=0.01)
    assert figures["mean_watts"] == pytest.approx(6.0, rel=0.01)
    assert figures["net_watts"] == pytest.approx(4.8, rel=0.01)
    assert figures["joules_per_prompt"] == pytest.approx(28.8, rel=0.01)
    assert figures["prefill_joules_per_token"] == pytest.approx(4.8 * 3 / 8, rel=0.01)
    assert figures["decode_joules_per_token"] == pytest.approx(4.8 * 3 / 2, rel=0.01)
    assert (figures["battery_rise_celsius"], figures["cpu_rise_celsius"]) == (2.5, 28.0)
    assert (method.charging, method.note, method.gauge_ms) == (False, None, 100)
    assert parts[1].prefill == pytest.approx(14.4, rel=0.01)


def test_energy_is_stored_with_the_run(artifact: Artifact) -> None:
    run = run_of(artifact, EnergyOptions())
    ending = Ending("ok", 0, result=result_with(run, power()))
    stored = stored_run(run, ending, unplugged())
    assert stored.measured("joules_per_prompt") == pytest.approx(28.8, rel=0.01)
    method = stored.run.energy
    assert method is not None and (method.current_unit, method.discharge_sign) == ("uA", -1)
    assert method.source == "/sys/class/power_supply/battery/current_now"
    assert len(stored.repetitions) == 3
    assert all(stored.measured("decode_joules", row.index) is not None for row in stored.repetitions)
    failed = Ending("throttled", 0, result=ending.result)
    assert stored_run(run, failed, unplugged()).measurements == ()


def test_a_part_shorter_than_the_gauges_updates_has_no_figure(artifact: Artifact) -> None:
    options = EnergyOptions()
    run = run_of(artifact, options)
    slow = power()
    # The gauge shows a new value every two seconds.
    held = [slow.current[index - index % 20] + index // 20 for index in range(len(slow.current))]
    found = energy_of(result_with(run, slow.model_copy(update={"current": held})), unplugged(), options)
    assert found is not None
    figures, method = found.figures, found.method
    assert method.gauge_ms == 2000
    assert figures["joules_per_prompt"] is not None
    assert figures["prefill_joules_per_token"] is None and figures["decode_joules_per_token"] is None
    assert "prefill and decode" in (method.note or "")


def test_a_charger_attached_meanwhile_costs_the_figures(artifact: Artifact) -> None:
    options = EnergyOptions()
    run = run_of(artifact, options)
    moments = [*unplugged(), Moment("after", 2, Readings(unix_ns=3, charging=True))]
    result = result_with(run, power())
    found = energy_of(result, moments, options)
    assert found is not None and found.figures.get("joules_per_prompt") is None
    assert found.method.note == "external power was attached during the run"
    allowed = energy_of(result, moments, EnergyOptions(allow_charging=True))
    assert allowed is not None
    figures, method = allowed.figures, allowed.method
    assert figures["joules_per_prompt"] is not None and method.charging is True
    assert method.sign_from == "load"
    assert "only the battery's share" in (method.note or "")


@pytest.mark.parametrize(("last_uah", "known"), [(2_020_000, False), (1_980_000, True)])
def test_the_charge_around_a_run_shows_whether_it_was_charged(
    last_uah: int, known: bool, artifact: Artifact
) -> None:
    options = EnergyOptions(allow_charging=True)
    result = result_with(run_of(artifact, options), with_charger(-80_000, 1_200_000))
    first = Readings(unix_ns=0, charging=True, battery_charge_uah=2_000_000)
    last = Readings(unix_ns=round(60e9), charging=True, battery_charge_uah=last_uah)
    found = energy_of(result, [Moment("before", None, first), Moment("after", None, last)], options)
    assert found is not None
    assert (found.figures.get("joules_per_prompt") is not None) == known
    assert ("charge rose against" in (found.method.note or "")) != known


def test_a_charger_that_nobody_can_see_counts_as_attached(artifact: Artifact) -> None:
    options = EnergyOptions()
    result = result_with(run_of(artifact, options), power())
    moments = [Moment("before", None, Readings(unix_ns=1)), Moment("after", 1, Readings(unix_ns=2))]
    found = energy_of(result, moments, options)
    assert found is not None and found.figures.get("joules_per_prompt") is None
    assert found.method.charging is None and "could not be read" in (found.method.note or "")


def test_samples_that_mean_nothing_leave_a_reason(artifact: Artifact) -> None:
    options = EnergyOptions()
    run = run_of(artifact, options)
    found = energy_of(result_with(run, power(to_current=lambda a: 0)), unplugged(), options)
    assert found is not None
    assert found.figures.get("joules_per_prompt") is None and "does not change" in (found.method.note or "")
    assert found.method.samples == len(power().current)


def test_a_device_that_was_busier_while_idle_has_no_joules(artifact: Artifact) -> None:
    options = EnergyOptions()
    run = run_of(artifact, options)
    busy = power(to_current=lambda a: round(-1e6 * (a if a > 1 else a + LOAD_A)))
    energy = energy_of(result_with(run, busy), unplugged(), options)
    assert energy is not None and "joules_per_prompt" not in energy.figures
    assert "no more under load than while idle (7.2 W)" in str(energy.method.note)


def test_watts_are_positive_while_discharging() -> None:
    samsung = Calibration("mA", "uV", -1, "unplugged", 1)
    assert samsung.watts(-500, 4_000_000) == pytest.approx(2.0)
    assert samsung.watts(500, 4_000_000) == pytest.approx(-2.0)
