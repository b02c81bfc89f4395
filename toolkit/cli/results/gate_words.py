"""A run's gate, power and energy in words, for people."""

from __future__ import annotations

from toolkit.store.rows import Run, RunSummary


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


def energy_words(summary: RunSummary) -> str | None:
    """Joules, or why there are none; None when energy was not asked for."""
    method = summary.run.energy
    if method is None:
        return None
    figures = [
        words.format(value)
        for words, value in (
            ("{:.2f} J per prompt", summary.measured("joules_per_prompt")),
            ("prefill {:.4f} J/token", summary.measured("prefill_joules_per_token")),
            ("decode {:.4f} J/token", summary.measured("decode_joules_per_token")),
            ("{:.2f} W", summary.measured("mean_watts")),
            ("idle {:.2f} W", summary.measured("baseline_watts")),
            ("battery {:+.1f} C", summary.measured("battery_rise_celsius")),
            ("CPU {:+.1f} C", summary.measured("cpu_rise_celsius")),
        )
        if value is not None
    ]
    charging = ["while charging"] if method.charging else []
    note = [method.note] if method.note else []
    return "; ".join([", ".join(figures), *charging, *note]).removeprefix("; ")


def counter_words(run: Run) -> str | None:
    """What the joules were measured with."""
    method = run.energy
    if method is None or method.current_unit is None:
        return None
    positive = "discharging" if method.discharge_sign == 1 else "charging"
    return (
        f"{method.source} every {method.interval_ms} ms ({method.samples} samples), updated "
        f"every {method.gauge_ms} ms, {method.current_unit} and {method.voltage_unit}, positive "
        f"while {positive} (from {method.sign_from})"
    )
