"""Unit and sign of a phone's current_now, found out from the samples, never from a list of models.

The kernel asks for microamperes, negative while discharging. Makers give milliamperes (Samsung, Huawei), or
positive values while discharging (many Qualcomm drivers), and differ between models. So a unit needs two
facts that speak for it, or against the other one; with fewer there are no joules:

- *Under load* a phone without a charger draws between tens of milliamperes and some amperes.
- *Idle* it draws some milliamperes at least, and less than a few amperes.
- *The battery's charge*, counted elsewhere, changes by what flowed.

With external power attached the first two say less: the battery may give next to nothing (a charge limit), so
a small number proves nothing, and only numbers that no cable carries rule milliamperes out.

The sign of a battery that is not charged is that of discharging; with a charger attached, the load itself
shows the direction, because it always draws more than idling does, unless charging sets in meanwhile: the
battery's charge must not have moved the other way.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit.profiling.records import Power

# Amperes that a battery gives without a charger, under load and idle; both units' ranges must not meet.
_LOAD_AMPERES = (0.05, 8.0)
_IDLE_AMPERES = (0.004, 2.5)
# No charger of a phone gives more.
_MAXIMUM_AMPERES = 25.0
# How far the charge that flowed by current_now may be from what the battery counted; its steps are coarse.
_AGREEMENT = 3.0
# Below this change of the charge its own steps and the time around the run say more.
_MINIMUM_CHARGE_UAH = 3_000
_NS_PER_H = 3_600_000_000_000
# One to four cells in series.
_MINIMUM_VOLTS, _MAXIMUM_VOLTS = 2.5, 20.0
_MINIMUM_SAMPLES = 3
# Of the samples under load, how many must agree in their sign.
_AGREEING = 0.9
# The load must stand out of the idle baseline to show the direction.
_MINIMUM_STEP = 0.05


CurrentUnit = Literal["uA", "mA"]
_AMPERES: dict[CurrentUnit, float] = {"uA": 1e-6, "mA": 1e-3}


@dataclass(frozen=True)
class ChargeChange:
    """How much the battery's charge changed, by its own counter: two readings, before and after.

    Attributes:
        microampere_hours: the second reading minus the first; negative where the battery was discharged.
        elapsed_ns: time between the readings.
    """

    microampere_hours: int
    elapsed_ns: int


class Uncalibrated(Exception):
    """The samples do not allow a figure; the message says why."""


@dataclass(frozen=True)
class Calibration:
    """What a counter's numbers mean.

    Attributes:
        current_unit: of current_now.
        voltage_unit: of voltage_now.
        discharge_sign: 1 where positive means discharging, else -1.
        sign_from: how the sign was found: "unplugged", or "load" with a charger attached.
        gauge_ns: median time between two changes of the current: how often the fuel gauge updates.
    """

    current_unit: CurrentUnit
    voltage_unit: Literal["uV", "mV"]
    discharge_sign: Literal[1, -1]
    sign_from: Literal["unplugged", "load"]
    gauge_ns: int

    def watts(self, current: int, voltage: int) -> float:
        """Power drawn from the battery; negative while it is charged."""
        amperes = current * _AMPERES[self.current_unit]
        volts = voltage * (1e-6 if self.voltage_unit == "uV" else 1e-3)
        return self.discharge_sign * amperes * volts


def calibrate(
    power: Power, load: Sequence[tuple[int, int]], *, unplugged: bool, charge: ChargeChange | None = None
) -> Calibration:
    """Find units and sign.

    Args:
        power: the samples.
        load: start and end of each measured repetition, on the samples' clock.
        unplugged: no external power was attached at any time.
        charge: how the battery's own counter changed, where it has one.

    Raises:
        Uncalibrated: too few samples, a unit that is not proven, or a sign that cannot be told.
    """
    samples = list(zip(power.monotonic_ns, power.current, power.voltage, strict=True))
    loaded = [current for at, current, _ in samples if any(start <= at <= end for start, end in load)]
    idle = [current for at, current, _ in samples if power.baseline_start_ns <= at <= power.baseline_end_ns]
    if len(loaded) < _MINIMUM_SAMPLES or len(idle) < _MINIMUM_SAMPLES:
        raise Uncalibrated(
            f"only {len(loaded)} samples under load and {len(idle)} of the idle device; ask for more tokens"
        )
    gauge_ns = _gauge_ns(power.monotonic_ns, power.current)
    peak, rest = max(map(abs, loaded)), round(statistics.median(map(abs, idle)))
    flowed = None if charge is None else _unit_of_charge(power, charge)
    if unplugged:
        current_unit = _unit_unplugged(peak, rest, flowed)
    else:
        current_unit = _unit_with_charger(peak, rest, flowed)
    voltage_unit = _voltage_unit(statistics.median(voltage for _, _, voltage in samples))
    if unplugged:
        return Calibration(current_unit, voltage_unit, _sign_of_unplugged(loaded), "unplugged", gauge_ns)
    sign = _sign_of_load(loaded, idle)
    if charge is not None:
        _check_direction(power, sign, charge)
    return Calibration(current_unit, voltage_unit, sign, "load", gauge_ns)


def _gauge_ns(times: Sequence[int], current: Sequence[int]) -> int:
    changes = [times[i] for i in range(1, len(current)) if current[i] != current[i - 1]]
    if len(changes) < 2:
        raise Uncalibrated("the battery's current_now does not change while the device works")
    return round(statistics.median(b - a for a, b in zip(changes, changes[1:], strict=False)))


def _unit_unplugged(peak: int, rest: int, flowed: CurrentUnit | None) -> CurrentUnit:
    """Everything that the device draws comes from the battery: load and idle must both fit the same unit."""
    by_load = _fitting(peak, _LOAD_AMPERES)
    if by_load is None:
        raise Uncalibrated(f"current_now of up to {peak} under load is neither microamperes nor milliamperes")
    by_idle = _fitting(rest, _IDLE_AMPERES)
    if flowed not in (None, by_load):
        raise Uncalibrated(
            f"current_now of up to {peak} under load looks like {by_load}, the battery's charge says {flowed}"
        )
    if by_idle != by_load and flowed != by_load:
        raise Uncalibrated(
            f"the unit of current_now is not proven: up to {peak} under load looks like {by_load}, "
            f"{rest} while idle does not"
        )
    return by_load


def _unit_with_charger(peak: int, rest: int, flowed: CurrentUnit | None) -> CurrentUnit:
    """The battery gives or takes what the charger leaves, from nothing to many amperes."""
    impossible = [value * _AMPERES["mA"] > _MAXIMUM_AMPERES for value in (peak, rest)]
    against_milliamperes = sum(impossible) + (flowed == "uA")
    if peak * _AMPERES["uA"] <= _MAXIMUM_AMPERES and against_milliamperes >= 2 and flowed != "mA":
        return "uA"
    if flowed == "mA" and not any(impossible):
        return "mA"
    raise Uncalibrated(
        f"the unit of current_now is not proven: with external power attached, {rest} while idle and up to "
        f"{peak} under load may be either micro- or milliamperes, and the battery's charge did not tell; "
        "unplug it"
    )


def _fitting(value: int, amperes: tuple[float, float]) -> CurrentUnit | None:
    """The unit in which a value lies in a range."""
    low, high = amperes
    return next((unit for unit, factor in _AMPERES.items() if low <= value * factor <= high), None)


def _unit_of_charge(power: Power, charge: ChargeChange) -> CurrentUnit | None:
    """The unit in which what flowed is what the battery counted; None where too little changed to tell."""
    counted = abs(charge.microampere_hours)
    if counted < _MINIMUM_CHARGE_UAH:
        return None
    flowed = abs(statistics.fmean(power.current)) * charge.elapsed_ns / _NS_PER_H
    for unit, factor in _AMPERES.items():
        ratio = flowed * factor * 1e6 / counted
        if 1 / _AGREEMENT <= ratio <= _AGREEMENT:
            return unit
    return None


def _voltage_unit(typical: float) -> Literal["uV", "mV"]:
    if _MINIMUM_VOLTS * 1e6 <= typical <= _MAXIMUM_VOLTS * 1e6:
        return "uV"
    if _MINIMUM_VOLTS * 1e3 <= typical <= _MAXIMUM_VOLTS * 1e3:
        return "mV"
    raise Uncalibrated(f"voltage_now of {typical:.0f} is neither microvolts nor millivolts")


def _sign_of_unplugged(loaded: Sequence[int]) -> Literal[1, -1]:
    positive = sum(current > 0 for current in loaded) / len(loaded)
    negative = sum(current < 0 for current in loaded) / len(loaded)
    if max(positive, negative) < _AGREEING:
        raise Uncalibrated("current_now changes its sign although nothing charges the battery")
    return 1 if positive > negative else -1


def _sign_of_load(loaded: Sequence[int], idle: Sequence[int]) -> Literal[1, -1]:
    step = statistics.median(loaded) - statistics.median(idle)
    if abs(step) < _MINIMUM_STEP * max(abs(current) for current in (*loaded, *idle)):
        raise Uncalibrated("with external power attached, the battery's current does not follow the load")
    return 1 if step > 0 else -1


def _check_direction(power: Power, sign: Literal[1, -1], charge: ChargeChange) -> None:
    """Refuse a sign by which the battery gave what its charge gained, or took what its charge lost."""
    discharged = sign * statistics.fmean(power.current)
    if abs(charge.microampere_hours) >= _MINIMUM_CHARGE_UAH and discharged * charge.microampere_hours > 0:
        moved = "rose" if charge.microampere_hours > 0 else "fell"
        raise Uncalibrated(
            f"with external power attached, the battery's charge {moved} against the direction that the load "
            "showed: charging set in meanwhile; unplug it"
        )
