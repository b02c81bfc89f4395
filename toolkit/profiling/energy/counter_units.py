"""Unit and sign of a phone's current_now, found out from the samples, never from a list of models.

The kernel asks for microamperes, negative while discharging. Makers give milliamperes (Samsung, Huawei), or
positive values while discharging (many Qualcomm drivers), and differ between models. A phone that computes
draws at least tens of milliamperes and at most some amperes, so the size of the largest sample under load
tells the unit. The sign of a battery that is not charged is that of discharging; with a charger attached, the
load itself shows the direction, because it always draws more than idling does.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from toolkit.profiling.records import Power

# Amperes under load that a battery-powered device can draw; both units' ranges must not meet.
_MINIMUM_AMPERES, _MAXIMUM_AMPERES = 0.05, 20.0
# One to four cells in series.
_MINIMUM_VOLTS, _MAXIMUM_VOLTS = 2.5, 20.0
_MINIMUM_SAMPLES = 3
# Of the samples under load, how many must agree in their sign.
_AGREEING = 0.9
# The load must stand out of the idle baseline to show the direction.
_MINIMUM_STEP = 0.05


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

    current_unit: Literal["uA", "mA"]
    voltage_unit: Literal["uV", "mV"]
    discharge_sign: Literal[1, -1]
    sign_from: Literal["unplugged", "load"]
    gauge_ns: int

    def watts(self, current: int, voltage: int) -> float:
        """Power drawn from the battery; negative while it is charged."""
        amperes = current * (1e-6 if self.current_unit == "uA" else 1e-3)
        volts = voltage * (1e-6 if self.voltage_unit == "uV" else 1e-3)
        return self.discharge_sign * amperes * volts


def calibrate(power: Power, load: Sequence[tuple[int, int]], *, unplugged: bool) -> Calibration:
    """Find units and sign.

    Args:
        power: the samples.
        load: start and end of each measured repetition, on the samples' clock.
        unplugged: no external power was attached at any time.

    Raises:
        Uncalibrated: too few samples, values that no phone has, or a sign that cannot be told.
    """
    samples = list(zip(power.monotonic_ns, power.current, power.voltage, strict=True))
    loaded = [current for at, current, _ in samples if any(start <= at <= end for start, end in load)]
    idle = [current for at, current, _ in samples if power.baseline_start_ns <= at <= power.baseline_end_ns]
    if len(loaded) < _MINIMUM_SAMPLES or len(idle) < _MINIMUM_SAMPLES:
        raise Uncalibrated(
            f"only {len(loaded)} samples under load and {len(idle)} of the idle device; ask for more tokens"
        )
    gauge_ns = _gauge_ns(power.monotonic_ns, power.current)
    current_unit = _current_unit(max(abs(current) for current in loaded))
    voltage_unit = _voltage_unit(statistics.median(voltage for _, _, voltage in samples))
    if unplugged:
        return Calibration(current_unit, voltage_unit, _sign_of_unplugged(loaded), "unplugged", gauge_ns)
    return Calibration(current_unit, voltage_unit, _sign_of_load(loaded, idle), "load", gauge_ns)


def _gauge_ns(times: Sequence[int], current: Sequence[int]) -> int:
    changes = [times[i] for i in range(1, len(current)) if current[i] != current[i - 1]]
    if len(changes) < 2:
        raise Uncalibrated("the battery's current_now does not change while the device works")
    return round(statistics.median(b - a for a, b in zip(changes, changes[1:], strict=False)))


def _current_unit(peak: int) -> Literal["uA", "mA"]:
    if _MINIMUM_AMPERES * 1e6 <= peak <= _MAXIMUM_AMPERES * 1e6:
        return "uA"
    if _MINIMUM_AMPERES * 1e3 <= peak <= _MAXIMUM_AMPERES * 1e3:
        return "mA"
    raise Uncalibrated(f"current_now of up to {peak} under load is neither microamperes nor milliamperes")


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
