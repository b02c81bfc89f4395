"""The battery whose counters are sampled; refused where they would lie."""

from __future__ import annotations

from toolkit.devices.base import Device, Readings
from toolkit.devices.power_supply import (
    SUPPLIES_FOLDER,
    SUPPLIES_SCRIPT,
    PowerSupply,
    battery_with_counters,
    parse_power_supplies,
)
from toolkit.errors import EnergyRefused
from toolkit.profiling.energy_options import EnergyOptions

_LOOK_TIMEOUT_S = 15.0


def counters_of(device: Device, options: EnergyOptions, readings: Readings) -> PowerSupply:
    """The battery whose counters will be sampled.

    Args:
        device: the device to measure.
        options: how.
        readings: its conditions now.

    Raises:
        EnergyRefused: external power is attached, or may be; or the counters cannot be read.
    """
    battery = battery_of(device)
    if readings.charging is not False and not options.allow_charging:
        raise EnergyRefused(
            "external power is attached: the battery's counters do not see what the charger gives"
            if readings.charging
            else "whether external power is attached cannot be read",
            serial=device.serial,
            next_step="Unplug it and use adb over Wi-Fi (adb tcpip 5555, adb connect ADDRESS:5555), or pass "
            "--allow-charging; the run is marked then.",
        )
    return battery


def battery_of(device: Device) -> PowerSupply:
    """The battery of a device, if its counters can be read.

    Raises:
        EnergyRefused: they cannot, or there is none.
    """
    listed = device.shell(
        ["sh", "-c", SUPPLIES_SCRIPT, "slm-power", SUPPLIES_FOLDER], timeout_s=_LOOK_TIMEOUT_S
    )
    battery = battery_with_counters(parse_power_supplies(listed.stdout))
    if battery is None:
        raise EnergyRefused(
            f"no battery in {SUPPLIES_FOLDER} has a current_now and a voltage_now that the shell may read",
            serial=device.serial,
            next_step="Measure another device, or leave energy out: this one needs an external meter.",
        )
    return battery
