"""A run's gate, power and energy in words, for people."""

from __future__ import annotations

from toolkit.store.rows import Run


def gate_words(run: Run) -> str | None:
    """The gate that the run's repetitions passed, with its limits and what could not be read."""
    if run.gate is None:
        return None
    limits = [
        words.format(value)
        for words, value in (
            ("CPU up to {:g} C", run.gate_max_celsius),
            ("busy up to {:.0%}", run.gate_max_cpu_busy),
            ("thermal status up to {}", run.gate_max_thermal_status),
            ("battery from {}%", run.gate_min_battery_percent),
            ("screen off", run.gate_screen_off),
        )
        if value is not None
    ]
    unattended = " for some repetitions: the host was gone" if run.gate == "unattended" else ""
    unreadable = f"; unreadable: {run.gate_unreadable}" if run.gate_unreadable else ""
    asked = f" ({', '.join(limits)})" if limits else ""
    return f"{run.gate}{unattended}{asked}{unreadable}"


def throttling_words(run: Run) -> str | None:
    """In how many repetitions throttling showed; None where nobody could tell."""
    if run.throttled_repetitions is None:
        return None
    return f"in {run.throttled_repetitions} of {run.repetitions} repetitions"


def energy_words(run: Run) -> str | None:
    """Joules, or why there are none; None when energy was not asked for."""
    if run.energy_source is None:
        return None
    figures = [
        words.format(value)
        for words, value in (
            ("{:.2f} J per prompt", run.joules_per_prompt),
            ("prefill {:.4f} J/token", run.prefill_joules_per_token),
            ("decode {:.4f} J/token", run.decode_joules_per_token),
            ("{:.2f} W", run.mean_watts),
            ("idle {:.2f} W", run.baseline_watts),
            ("battery {:+.1f} C", run.battery_rise_celsius),
            ("CPU {:+.1f} C", run.cpu_rise_celsius),
        )
        if value is not None
    ]
    charging = ["while charging"] if run.energy_charging else []
    note = [run.energy_note] if run.energy_note else []
    return "; ".join([", ".join(figures), *charging, *note]).removeprefix("; ")


def counter_words(run: Run) -> str | None:
    """What the joules were measured with."""
    if run.energy_source is None or run.energy_current_unit is None:
        return None
    positive = "discharging" if run.energy_discharge_sign == 1 else "charging"
    return (
        f"{run.energy_source} every {run.energy_interval_ms} ms ({run.energy_samples} samples), updated "
        f"every {run.energy_gauge_ms} ms, {run.energy_current_unit} and {run.energy_voltage_unit}, positive "
        f"while {positive} (from {run.energy_sign_from})"
    )
