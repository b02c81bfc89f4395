"""A Linux board's facts in one round trip, and what its answer means."""

from __future__ import annotations

import shlex

from toolkit.devices.base import DeviceInfo
from toolkit.devices.conditions import (
    parse_df_free_bytes,
    parse_du_bytes,
    parse_meminfo_bytes,
    parse_page_bytes,
)
from toolkit.devices.cpus import CPUS_SCRIPT, parse_cpus
from toolkit.devices.identity import IDENTITY_SCRIPT, parse_identity
from toolkit.devices.local import android_abi
from toolkit.devices.sections import section, split_sections

# Each part may fail on some board without taking the others with it. The device tree's names end with a NUL.
INFO_SCRIPT = f"""
{section("machine")}; uname -m
{section("release")}; uname -r
{section("os")}; cat /etc/os-release 2>/dev/null
{section("model")}; cat /proc/device-tree/model /sys/class/dmi/id/product_name 2>/dev/null | tr '\\0' '\\n'
{section("vendor")}; cat /sys/class/dmi/id/sys_vendor 2>/dev/null
{section("soc")}; cat /proc/device-tree/compatible 2>/dev/null | tr '\\0' '\\n' | tail -n 1
{section("cpuinfo")}; grep -m 1 '^model name' /proc/cpuinfo
{section("cpus")}
{CPUS_SCRIPT}
{section("meminfo")}; cat /proc/meminfo
{section("page-size")}; getconf PAGE_SIZE 2>/dev/null || getconf PAGESIZE 2>/dev/null
{IDENTITY_SCRIPT}
{section("df")}; df -k "$1"
{section("du")}; if [ -d "$2" ]; then du -sk "$2"; else echo 0; fi
"""


def describe(serial: str, text: str) -> DeviceInfo:
    """Read the output of INFO_SCRIPT."""
    sections = split_sections(text)

    def first_line(name: str) -> str | None:
        return sections.get(name, "").strip().partition("\n")[0].strip() or None

    machine = first_line("machine")
    cpu = (first_line("cpuinfo") or "").partition(":")[2].strip() or None
    return DeviceInfo(
        serial=serial,
        kind="ssh",
        state="device",
        identity=parse_identity(text).hardware,
        manufacturer=first_line("vendor"),
        model=first_line("model") or cpu,
        soc=first_line("soc") or cpu,
        abi=android_abi(machine) if machine else None,
        os_version=_pretty_name(sections.get("os", "")),
        build=first_line("release"),
        cpu_cores=parse_cpus(sections.get("cpus", "")).count,
        page_bytes=parse_page_bytes(sections.get("page-size", "")),
        ram_bytes=parse_meminfo_bytes(sections.get("meminfo", ""), "MemTotal"),
        free_bytes=parse_df_free_bytes(sections.get("df", "")),
        used_bytes=parse_du_bytes(sections.get("du", "")),
    )


def _pretty_name(os_release: str) -> str | None:
    """PRETTY_NAME of /etc/os-release, whose values are quoted as in a shell."""
    for line in os_release.splitlines():
        name, _, value = line.partition("=")
        if name == "PRETTY_NAME":
            try:
                words = shlex.split(value)
            except ValueError:
                return None
            return words[0] if words else None
    return None
