"""Net energy of a run from the battery's counters: calibrated, idle baseline subtracted.

docs/energy.md says what the figures mean and what they are worth.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from toolkit.profiling.energy.counter_units import Calibration, ChargeChange, Uncalibrated, calibrate
from toolkit.profiling.energy.power_curve import PowerCurve
from toolkit.profiling.energy_options import EnergyOptions
from toolkit.profiling.gate.moments import Moment
from toolkit.profiling.records import Repetition, Result
from toolkit.store.measurements import NS_PER_S, measurement
from toolkit.store.rows import EnergyMethod, Measurement

# A window shorter than this many updates of the fuel gauge holds more chance than energy.
_UPDATES_PER_WINDOW = 2
# Figures from which the idle baseline is subtracted.
_NET = ("net_watts", "joules_per_prompt", "prefill_joules_per_token", "decode_joules_per_token")


@dataclass(frozen=True)
class RepetitionEnergy:
    """Net joules of a repetition; None where the gauge is too slow for the part."""

    whole: float | None = None
    prefill: float | None = None
    decode: float | None = None


@dataclass(frozen=True)
class Energy:
    """What is stored of a run's energy.

    Attributes:
        method: how it was measured.
        figures: of the run, by their names in the vocabulary of measurements; None where there is none.
        repetitions: net joules by index.
    """

    method: EnergyMethod
    figures: Mapping[str, float | None]
    repetitions: Mapping[int, RepetitionEnergy] = field(default_factory=dict)

    def measurements(self) -> Iterator[Measurement]:
        """All that is known, as measurements."""
        for name, value in self.figures.items():
            if value is not None:
                yield measurement(name, value)
        for index, part in self.repetitions.items():
            for name, value in (("prefill_joules", part.prefill), ("decode_joules", part.decode)):
                if value is not None:
                    yield measurement(name, value, index)


def energy_of(result: Result, moments: Sequence[Moment], options: EnergyOptions) -> Energy | None:
    """Energy of a run and of its repetitions; None when no counters were sampled.

    Args:
        result: what the runner wrote.
        moments: the readings around the run and its repetitions.
        options: what was asked.
    """
    power = result.power
    if power is None:
        return None
    charging = _charging(moments)
    method = EnergyMethod(
        source=power.current_file,
        interval_ms=power.interval_ms,
        samples=len(power.monotonic_ns),
        charging=charging,
    )
    rises = {
        "battery_rise_celsius": _rise(moments, "battery_celsius"),
        "cpu_rise_celsius": _rise(moments, "hottest_cpu_celsius"),
    }
    if charging is not False and not options.allow_charging:
        why = "external power was attached during the run"
        if charging is None:
            why = "whether external power was attached during the run could not be read"
        return Energy(replace(method, note=why), rises)
    try:
        calibration = calibrate(
            power,
            [_window(r) for r in result.measured],
            unplugged=charging is False,
            charge=_charge_change(moments),
        )
        measured = _measured(result, method, calibration, PowerCurve.of(power, calibration))
    except Uncalibrated as reason:
        return Energy(replace(method, note=str(reason)), rises)
    return replace(measured, figures={**measured.figures, **rises})


def _measured(result: Result, method: EnergyMethod, calibration: Calibration, curve: PowerCurve) -> Energy:
    assert result.power is not None
    baseline = curve.mean_watts(result.power.baseline_start_ns, result.power.baseline_end_ns)
    if baseline is None:
        raise Uncalibrated("the idle baseline holds too few samples")
    shortest_ns = _UPDATES_PER_WINDOW * calibration.gauge_ns

    def net(start_ns: int, end_ns: int) -> float | None:
        joules = curve.joules(start_ns, end_ns) if end_ns - start_ns >= shortest_ns else None
        return None if joules is None else joules - baseline * (end_ns - start_ns) / NS_PER_S

    parts = {}
    for repetition in result.repetitions:
        start_ns, end_ns = _window(repetition)
        first_token_ns = start_ns + repetition.prefill_ns
        parts[repetition.index] = RepetitionEnergy(
            net(start_ns, end_ns), net(start_ns, first_token_ns), net(first_token_ns, end_ns)
        )
    measured = [(repetition, parts[repetition.index]) for repetition in result.measured]
    gross = [curve.mean_watts(*_window(repetition)) for repetition, _ in measured]
    mean_watts = _median(gross)
    decode = [
        None if part.decode is None else part.decode / len(repetition.decode_ns)
        for repetition, part in measured
        if repetition.decode_ns
    ]
    prefill = [
        None if part.prefill is None else part.prefill / result.start.prompt_tokens for _, part in measured
    ]
    figures = {
        "baseline_watts": baseline,
        "mean_watts": mean_watts,
        "net_watts": None if mean_watts is None else mean_watts - baseline,
        "joules_per_prompt": _median([part.whole for _, part in measured]),
        "prefill_joules_per_token": _median(prefill),
        "decode_joules_per_token": _median(decode),
    }
    if any(value is not None and value <= 0 for name, value in figures.items() if name in _NET):
        raise Uncalibrated(
            f"the device drew no more under load than while idle ({baseline:.3g} W): something else worked "
            "during the idle baseline; measure again when the device is at rest"
        )
    known = replace(
        method,
        gauge_ms=round(calibration.gauge_ns / 1e6),
        current_unit=calibration.current_unit,
        voltage_unit=calibration.voltage_unit,
        discharge_sign=calibration.discharge_sign,
        sign_from=calibration.sign_from,
    )
    return Energy(replace(known, note=_note(known, figures, calibration)), figures, parts)


def _note(method: EnergyMethod, figures: Mapping[str, float | None], calibration: Calibration) -> str | None:
    notes = []
    if method.charging is not False:
        notes.append("external power was, or may have been, attached: only the battery's share is counted")
    missing = [
        words
        for words, value in (
            ("a whole repetition", figures["joules_per_prompt"]),
            ("prefill", figures["prefill_joules_per_token"]),
            ("decode", figures["decode_joules_per_token"]),
        )
        if value is None
    ]
    if missing:
        notes.append(
            f"no joules for {' and '.join(missing)}: shorter than {_UPDATES_PER_WINDOW} updates of the fuel "
            f"gauge ({calibration.gauge_ns / 1e6:.0f} ms each); ask for more tokens"
        )
    return "; ".join(notes) or None


def _window(repetition: Repetition) -> tuple[int, int]:
    """Start of the prefill and end of the last decode step, on the samples' clock."""
    start_ns = repetition.started_ns
    return start_ns, start_ns + repetition.prefill_ns + sum(repetition.decode_ns)


def _charging(moments: Sequence[Moment]) -> bool | None:
    seen = {moment.readings.charging for moment in moments}
    return True if True in seen else False if seen == {False} else None


def _charge_change(moments: Sequence[Moment]) -> ChargeChange | None:
    known = [
        (one.readings.unix_ns, one.readings.battery_charge_uah)
        for one in moments
        if one.readings.battery_charge_uah is not None
    ]
    if len(known) < 2:
        return None
    (first_ns, first), (last_ns, last) = min(known), max(known)
    return ChargeChange(last - first, last_ns - first_ns)


def _rise(moments: Sequence[Moment], name: str) -> float | None:
    """The highest value behind a repetition or the run, minus the first of all."""
    first = next((getattr(m.readings, name) for m in moments if m.moment == "before"), None)
    after = [
        value for m in moments if m.moment == "after" and (value := getattr(m.readings, name)) is not None
    ]
    return max(after) - first if after and first is not None else None


def _median(values: Sequence[float | None]) -> float | None:
    """The median, unless one of the values is not known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known and len(known) == len(values) else None
