"""Gate and energy as `slm results show` words them."""

from __future__ import annotations

from dataclasses import replace

from described_runs import as_text, description, result_records

from toolkit.artifact import Artifact
from toolkit.cli.results.gate_words import counter_words, energy_words, gate_words, throttling_words
from toolkit.profiling.rows import stored_run
from toolkit.profiling.session.ending import Ending
from toolkit.profiling.session.result_check import checked_result
from toolkit.store.rows import Run


def a_run(artifact: Artifact) -> Run:
    run = description(artifact)
    result = checked_result(as_text(result_records(run)), run)
    return stored_run(run, Ending("ok", 0, result=result), ()).run


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
    run = a_run(artifact)
    assert energy_words(run) is counter_words(run) is None
    measured = replace(
        run, energy_source="/sys/battery", joules_per_prompt=28.8, mean_watts=6.0, baseline_watts=1.2,
        energy_current_unit="mA", energy_voltage_unit="uV", energy_discharge_sign=-1, energy_gauge_ms=1000,
        energy_interval_ms=100, energy_samples=330, energy_sign_from="unplugged", battery_rise_celsius=2.5,
    )  # fmt: skip
    assert energy_words(measured) == "28.80 J per prompt, 6.00 W, idle 1.20 W, battery +2.5 C"
    assert "mA and uV, positive while charging (from unplugged)" in (counter_words(measured) or "")
    nothing = replace(run, energy_source="/sys/battery", energy_note="why not", energy_charging=True)
    assert energy_words(nothing) == "while charging; why not"
