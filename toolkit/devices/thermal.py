"""Thermal status and CPU temperatures of Android and Linux, read by pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TEMPERATURE = re.compile(
    r"Temperature\{mValue=(?P<value>-?[\d.]+(?:E-?\d+)?), mType=(?P<type>-?\d+), mName=(?P<name>[^,}]*)"
)
# android.os.Temperature.TYPE_CPU
_TYPE_CPU = "0"
# Without a thermal HAL, or with one of version 1.0, which tells of no throttling, the service keeps its
# first status for ever: 0.
_STATUS_UNTOLD = re.compile(r"^\s*(?:HAL Ready: false|ThermalHAL 1\.0 connected: .*)$", re.MULTILINE)
# While no HAL is connected nobody tells of a change, and the status stays as it was. Makers have several.
_CONNECTION = re.compile(r"^\s*\S.*\bconnected: (yes|no)\s*$", re.MULTILINE)
# Samsung's thermal HAL of Android 10 and 11 numbers its types otherwise, and puts their names into mName.
_CPU_NAME = "TYPE_CPU"
_CPU_ZONE = re.compile(r"cpu|x86_pkg_temp|coretemp|k10temp|cluster|big|little|mid-?core", re.IGNORECASE)
# Zones whose names hold a CPU's but that are no temperature of one.
_NOT_CPU_ZONE = re.compile(r"limit|step|trip", re.IGNORECASE)
# Outside this range a value is a sensor that is off or in another unit.
_PLAUSIBLE_CELSIUS = (-40.0, 150.0)


@dataclass(frozen=True)
class Thermal:
    """Android's thermal status 0 (none) .. 6 (shutdown), and the hottest CPU sensor."""

    status: int | None
    hottest_cpu_celsius: float | None


def parse_thermalservice(text: str) -> Thermal:
    """Read ``dumpsys thermalservice`` (Android 10 and later).

    The values "from HAL" are read; the cached ones are what listeners last heard and may be hours old,
    so they count only where the HAL section is missing.
    """
    status = re.search(r"^\s*Thermal Status: ([0-6])\s*$", text, re.MULTILINE)
    # After `cmd thermalservice override-status` the service tells what it was told to tell.
    overridden = re.search(r"^\s*IsStatusOverride: true\s*$", text, re.MULTILINE)
    connections = _CONNECTION.findall(text)
    cut_off = bool(connections) and "yes" not in connections
    told = status is not None and not overridden and not cut_off and not _STATUS_UNTOLD.search(text)
    current = _section(text, "Current temperatures from HAL:")
    if current is None:
        current = _section(text, "Cached temperatures:")
    values = (
        float(m["value"])
        for m in _TEMPERATURE.finditer(current or "")
        if m["type"] == _TYPE_CPU or m["name"] == _CPU_NAME
    )
    return Thermal(int(status[1]) if status and told else None, hottest(values))


def parse_thermal_zones(text: str) -> float | None:
    """Read the hottest CPU zone from ``TYPE VALUE`` lines of /sys/class/thermal, values in milli-degrees."""
    celsius = []
    for line in text.splitlines():
        name, _, value = line.strip().rpartition(" ")
        if _CPU_ZONE.search(name) and not _NOT_CPU_ZONE.search(name) and re.fullmatch(r"-?\d{4,6}", value):
            celsius.append(int(value) / 1000)
    return hottest(celsius)


def hottest(celsius: Iterable[float]) -> float | None:
    """Return the highest plausible temperature; an idle sensor's 0 or -274 is not one."""
    low, high = _PLAUSIBLE_CELSIUS
    return max((value for value in celsius if low < value < high and value != 0), default=None)


def _section(text: str, title: str) -> str | None:
    """Return the indented lines under a title, or None when the title is missing."""
    match = re.search(rf"^(\s*){re.escape(title)}\n((?:\1\s+\S.*(?:\n|$))*)", text, re.MULTILINE)
    return match[2] if match else None
