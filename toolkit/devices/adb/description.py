"""A phone's facts in one round trip, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping

from toolkit.devices.adb.emulated import is_emulated
from toolkit.devices.base import DeviceInfo
from toolkit.devices.conditions import (
    parse_df_free_bytes,
    parse_du_bytes,
    parse_getprop,
    parse_meminfo_bytes,
    parse_page_bytes,
)
from toolkit.devices.cpus import CPUS_SCRIPT, parse_cpus
from toolkit.devices.identity import IDENTITY_SCRIPT, parse_identity
from toolkit.devices.sections import section, split_sections

_ABIS_64 = ("arm64-v8a", "x86_64", "riscv64")

# Each part may fail or be forbidden on some phone without taking the others with it.
INFO_SCRIPT = f"""
{section("getprop")}; getprop
{section("df")}; df -k "$1"
{section("du")}; if [ -d "$2" ]; then du -sk "$2"; else echo 0; fi
{section("cpus")}
{CPUS_SCRIPT}
{section("meminfo")}; cat /proc/meminfo
{section("page-size")}; getconf PAGE_SIZE 2>/dev/null || getconf PAGESIZE 2>/dev/null
{IDENTITY_SCRIPT}
"""


def describe(serial: str, text: str) -> DeviceInfo:
    """Read the output of INFO_SCRIPT."""
    sections = split_sections(text)
    properties = parse_getprop(sections.get("getprop", ""))
    release, sdk = properties.get("ro.build.version.release"), properties.get("ro.build.version.sdk", "")
    return DeviceInfo(
        serial=serial,
        kind="adb",
        state="device",
        identity=parse_identity(text).hardware,
        manufacturer=properties.get("ro.product.manufacturer"),
        model=properties.get("ro.product.model"),
        # ro.soc.model is Android 12's; before it the platform name is the best there is.
        soc=properties.get("ro.soc.model") or properties.get("ro.board.platform"),
        abi=_abi(properties),
        os_version=f"Android {release}" if release else None,
        api_level=int(sdk) if sdk.isdecimal() else None,
        build=properties.get("ro.build.fingerprint"),
        cpu_cores=parse_cpus(sections.get("cpus", "")).count,
        page_bytes=parse_page_bytes(sections.get("page-size", "")),
        ram_bytes=parse_meminfo_bytes(sections.get("meminfo", ""), "MemTotal"),
        free_bytes=parse_df_free_bytes(sections.get("df", "")),
        used_bytes=parse_du_bytes(sections.get("du", "")),
        emulated=is_emulated(properties),
    )


def _abi(properties: Mapping[str, str]) -> str | None:
    """The ABI of 64-bit programs where there is one: some systems that run them name a 32-bit one first."""
    first = properties.get("ro.product.cpu.abi") or None
    listed = [*_words(properties, "ro.product.cpu.abilist64"), *_words(properties, "ro.product.cpu.abilist")]
    if first in _ABIS_64:
        return first
    return next((abi for abi in listed if abi in _ABIS_64), first or next(iter(listed), None))


def _words(properties: Mapping[str, str], name: str) -> list[str]:
    return [word.strip() for word in properties.get(name, "").split(",") if word.strip()]
