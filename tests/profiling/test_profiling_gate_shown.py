"""Gate and energy as `slm results show` words them."""

from __future__ import annotations

from dataclasses import replace

from described_runs import as_text, description, result_records

from toolkit.artifact import Artifact
from toolkit.cli.results.gate_words import counter_words, energy_words, gate_words, throttling_words
from toolkit.profiling.run_rows import stored_run
from toolkit.profiling.session.ending import Ending
from toolkit.profiling.session.result_check import checked_result
from toolkit.store.measurements import measurement
from toolkit.store.rows import EnergyMethod, Run, StoredRun


def whole_run(artifact: Artifact) -> StoredRun:
    run = description(artifact)
    result = checked_result(as_text(result_records(run)), run)
    return stored_run(run, Ending("ok", 0, result=result), ())


def a_run(artifact: Artifact) -> Run:
    return whole_run(artifact).run


def test_the_gate_with_its_limits(artifact: Artifact) -> None:
    run = a_run(artifact)
    assert gate_words(run) == (
        "default (CPU up to 40 C, busy up to 30%, thermal status up to 0, battery from 20%)"
    )
    off = replace(
        run, gate="off", gate_max_celsius=None, gate_max_cpu_busy=None, gate_max_thermal_status=None
    )
    assert gate_words(replace(off, gate_min_battery_percent=None)) == "off"
    assert "the host was gone" in (gate_words(replace(run, gate="unattended")) or "")
    assert (gate_words(replace(run, gate_unreadable="cpu_busy")) or "").endswith("; unreadable: cpu_busy")
    assert gate_words(replace(run, gate=None)) is None


def test_throttling_is_counted_or_unknown(artifact: Artifact) -> None:
    run = a_run(artifact)
    assert throttling_words(run) is None
    assert throttling_words(replace(run, throttled_repetitions=1)) == "in 1 of 2 repetitions"


def test_energy_or_why_there_is_none(artifact: Artifact) -> None:
    unmeasured = whole_run(artifact)
    run = unmeasured.run
    assert energy_words(unmeasured) is counter_words(run) is None
    method = EnergyMethod(
        source="/sys/battery", current_unit="mA", voltage_unit="uV", discharge_sign=-1, gauge_ms=1000,
        interval_ms=100, samples=330, sign_from="unplugged",
    )  # fmt: skip
    figures = {
        "joules_per_prompt": 28.8, "mean_watts": 6.0, "baseline_watts": 1.2, "battery_rise_celsius": 2.5
    }  # fmt: skip
    measured = replace(
        unmeasured,
        run=replace(run, energy=method),
        measurements=[measurement(name, value) for name, value in figures.items()],
    )
    assert energy_words(measured) == "28.80 J per prompt, 6.00 W, idle 1.20 W, battery +2.5 C"
    assert "mA and uV, positive while charging (from unplugged)" in (counter_words(measured.run) or "")
    nothing = EnergyMethod(source="/sys/battery", interval_ms=100, samples=330, note="why not", charging=True)
    assert energy_words(replace(unmeasured, run=replace(run, energy=nothing))) == "while charging; why not"
