"""A device's conditions in one round trip: the script that runs there, and what its output means."""

from __future__ import annotations

from toolkit.devices.base import Readings
from toolkit.devices.battery import parse_battery
from toolkit.devices.conditions import cpu_busy, parse_cpu_times, parse_meminfo_bytes
from toolkit.devices.cpus import CPUS_SCRIPT, parse_cpus
from toolkit.devices.screen import parse_screen_on
from toolkit.devices.sections import section, split_sections
from toolkit.devices.thermal import parse_thermal_zones, parse_thermalservice

# Each part may fail or be forbidden on some phone without taking the others with it. The CPU's time comes
# first, before the services below make the CPU busy themselves.
_CPU_WINDOW = f"""
{section("stat-before")}; head -n 1 /proc/stat
sleep "$1"
{section("stat-after")}; head -n 1 /proc/stat
"""
_SCRIPT = f"""
{section("cpus")}
{CPUS_SCRIPT}
{section("meminfo")}; cat /proc/meminfo
{section("zones")}
for zone in /sys/class/thermal/thermal_zone*; do
  [ -r "$zone/temp" ] && echo "$(cat "$zone/type") $(cat "$zone/temp")"
done 2>/dev/null
{section("thermalservice")}; dumpsys thermalservice 2>/dev/null
{section("battery")}; dumpsys battery 2>/dev/null
{section("power")}; dumpsys power 2>/dev/null | grep -E '^Display Power: |mWakefulness='
"""


def readings_command(cpu_window_s: float) -> list[str]:
    """The command to run on an Android device; with a window of 0 the CPU's load is left out."""
    if cpu_window_s <= 0:
        return ["sh", "-c", _SCRIPT, "slm-readings"]
    return ["sh", "-c", _CPU_WINDOW + _SCRIPT, "slm-readings", f"{cpu_window_s:.2f}"]


def interpret_readings(text: str, *, unix_ns: int) -> Readings:
    """Read the output of :func:`readings_command`.

    Args:
        text: its output.
        unix_ns: when it was taken, by the host's clock.
    """
    sections = split_sections(text)
    thermal = parse_thermalservice(sections.get("thermalservice", ""))
    battery = parse_battery(sections.get("battery", ""))
    celsius = thermal.hottest_cpu_celsius
    cpus = parse_cpus(sections.get("cpus", ""))
    return Readings(
        unix_ns=unix_ns,
        cpu_busy=cpu_busy(
            parse_cpu_times(sections.get("stat-before", "")), parse_cpu_times(sections.get("stat-after", ""))
        ),
        online_cpus=cpus.online,
        cpu_frequencies_khz=cpus.frequencies_khz,
        cpu_frequency_caps_khz=cpus.caps_khz,
        cpu_maximum_frequencies_khz=cpus.maxima_khz,
        available_ram_bytes=parse_meminfo_bytes(sections.get("meminfo", ""), "MemAvailable"),
        thermal_status=thermal.status,
        # Android's own list first: the kernel's zones have vendor names and are often forbidden to the shell.
        hottest_cpu_celsius=celsius
        if celsius is not None
        else parse_thermal_zones(sections.get("zones", "")),
        battery_percent=battery.percent,
        battery_celsius=battery.celsius,
        battery_charge_uah=battery.charge_uah,
        charging=battery.charging,
        power_source=battery.source,
        screen_on=parse_screen_on(sections.get("power", "")),
    )
