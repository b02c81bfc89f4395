"""Readings as the gate meets them."""

from __future__ import annotations

from toolkit.devices.base import Readings

FINE = Readings(
    unix_ns=1,
    cpu_busy=0.05,
    cpu_frequency_caps_khz=(2_000_000, 2_000_000),
    cpu_maximum_frequencies_khz=(2_000_000, 2_000_000),
    thermal_status=0,
    hottest_cpu_celsius=33.5,
    battery_percent=80,
    charging=False,
    screen_on=False,
)
