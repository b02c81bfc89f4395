"""One round trip each for a phone's facts and its conditions, and what the answers mean."""

from __future__ import annotations

from toolkit.devices.base import DeviceInfo, Readings
from toolkit.devices.conditions import (
    cpu_busy,
    parse_battery,
    parse_cpu_times,
    parse_df_free_bytes,
    parse_frequencies_khz,
    parse_getprop,
    parse_meminfo_bytes,
    parse_thermal_zones,
    parse_thermalservice,
)

# Set by the virtual phone and by nothing else.
VIRTUAL_PROPERTY = "ro.slm.virtual"
_SECTION = "@@slm-section "

# Each part may fail or be forbidden on some phone without taking the others with it.
INFO_SCRIPT = f"""
echo '{_SECTION}getprop'; getprop
echo '{_SECTION}df'; df -k "$1"
echo '{_SECTION}nproc'; grep -c '^processor' /proc/cpuinfo
echo '{_SECTION}meminfo'; cat /proc/meminfo
"""
READINGS_SCRIPT = f"""
echo '{_SECTION}stat-before'; head -n 1 /proc/stat
sleep 0.5
echo '{_SECTION}stat-after'; head -n 1 /proc/stat
echo '{_SECTION}frequencies'; cat /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_cur_freq 2>/dev/null
echo '{_SECTION}meminfo'; cat /proc/meminfo
echo '{_SECTION}zones'
for zone in /sys/class/thermal/thermal_zone*; do
  [ -r "$zone/temp" ] && echo "$(cat "$zone/type") $(cat "$zone/temp")"
done 2>/dev/null
echo '{_SECTION}thermalservice'; dumpsys thermalservice 2>/dev/null
echo '{_SECTION}battery'; dumpsys battery 2>/dev/null
"""


def describe(serial: str, text: str) -> DeviceInfo:
    """Read the output of INFO_SCRIPT."""
    sections = _sections(text)
    properties = parse_getprop(sections.get("getprop", ""))
    release, sdk = properties.get("ro.build.version.release"), properties.get("ro.build.version.sdk", "")
    cores = sections.get("nproc", "").strip()
    return DeviceInfo(
        serial=serial,
        kind="adb",
        state="device",
        manufacturer=properties.get("ro.product.manufacturer"),
        model=properties.get("ro.product.model"),
        # ro.soc.model is Android 12's; before it the platform name is the best there is.
        soc=properties.get("ro.soc.model") or properties.get("ro.board.platform"),
        abi=properties.get("ro.product.cpu.abi"),
        os_version=f"Android {release}" if release else None,
        api_level=int(sdk) if sdk.isdigit() else None,
        build=properties.get("ro.build.fingerprint"),
        cpu_cores=int(cores) if cores.isdigit() and int(cores) > 0 else None,
        ram_bytes=parse_meminfo_bytes(sections.get("meminfo", ""), "MemTotal"),
        free_bytes=parse_df_free_bytes(sections.get("df", "")),
        emulated=properties.get(VIRTUAL_PROPERTY) == "1",
    )


def interpret_readings(text: str, *, unix_ns: int) -> Readings:
    """Read the output of READINGS_SCRIPT."""
    sections = _sections(text)
    thermal = parse_thermalservice(sections.get("thermalservice", ""))
    battery = parse_battery(sections.get("battery", ""))
    celsius = thermal.hottest_cpu_celsius
    return Readings(
        unix_ns=unix_ns,
        cpu_busy=cpu_busy(
            parse_cpu_times(sections.get("stat-before", "")), parse_cpu_times(sections.get("stat-after", ""))
        ),
        cpu_frequencies_khz=parse_frequencies_khz(sections.get("frequencies", "")),
        available_ram_bytes=parse_meminfo_bytes(sections.get("meminfo", ""), "MemAvailable"),
        thermal_status=thermal.status,
        # Android's own list first: the kernel's zones have vendor names and are often forbidden to the shell.
        hottest_cpu_celsius=celsius
        if celsius is not None
        else parse_thermal_zones(sections.get("zones", "")),
        battery_percent=battery.percent,
        charging=battery.charging,
    )


def _sections(text: str) -> dict[str, str]:
    """Split at the marker lines."""
    sections = {}
    for part in f"\n{text}".split(f"\n{_SECTION}")[1:]:
        name, _, body = part.partition("\n")
        sections[name.strip()] = body
    return sections
