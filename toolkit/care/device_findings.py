"""Is a device fit for measuring? One round trip for what readings do not tell, then pure judgement."""

from __future__ import annotations

import re
from dataclasses import dataclass

from toolkit.artifact import Artifact
from toolkit.care.finding import Finding, Level
from toolkit.devices.base import Device, DeviceInfo, Readings
from toolkit.devices.lease import LEASE_FILE, LeaseFile, is_lease, parse_lease
from toolkit.devices.power_supply import (
    SUPPLIES_FOLDER,
    SUPPLIES_SCRIPT,
    PowerSupply,
    battery_with_counters,
    parse_power_supplies,
)
from toolkit.devices.sections import section, split_sections
from toolkit.errors import ToolkitError
from toolkit.profiling.gate.limits import judge, limits_for
from toolkit.profiling.gate.throttling import limited_words, unknown_caps_words
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.session.preflight import minimum_ram_bytes
from toolkit.runtime.abi import check_abi
from toolkit.runtime.elf_check import MINIMUM_ALIGNMENT_BYTES

_TIMEOUT_S = 20.0
# Nothing runs with larger ones. Below, libraries for arm64 differ; for x86_64 all are aligned alike.
_LARGEST_PAGE_BYTES = {"arm64-v8a": 65536, "x86_64": 4096}
# Android 10 brought `dumpsys thermalservice`.
_THERMAL_API_LEVEL = 29
# A runner bundle, and what a run writes.
_BUNDLE_BYTES = 60_000_000
_LOW_BATTERY_PERCENT = 20

# $1 is the toolkit's folder. No lease is in it only if the part of its path that is there can be looked into.
LEASE_SCRIPT = f"""
if [ -e "$1/{LEASE_FILE}" ]; then cat "$1/{LEASE_FILE}"; else
  there=$1
  while [ -n "$there" ] && [ ! -e "$there" ]; do there=${{there%/*}}; done
  [ -x "${{there:-/}}" ] && echo none
fi 2>/dev/null
"""
# $1 is the toolkit's folder, $2 the folder of power supplies.
_SCRIPT = f"""
{section("page-size")}; getconf PAGE_SIZE 2>/dev/null || getconf PAGESIZE
{section("governors")}; cat /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor 2>/dev/null
{section("zones")}
all=0 readable=0
for zone in /sys/class/thermal/thermal_zone*; do
  [ -d "$zone" ] && all=$((all + 1))
  cat "$zone/temp" >/dev/null 2>&1 && readable=$((readable + 1))
done
echo "$readable $all"
{section("lease")}
{LEASE_SCRIPT}
{section("uptime")}; cat /proc/uptime
{section("boot")}; cat /proc/sys/kernel/random/boot_id 2>/dev/null
{section("folder")}
there=yes; [ -d "$1" ] || there=
trial=$1/.trial-$$
if mkdir -p "$1" 2>&1 && (echo '#!/bin/sh' >"$trial" && chmod 755 "$trial") 2>&1; then
  (exec "$trial") 2>&1
  echo "code $?"
fi
rm -f "$trial"
[ "$there" ] || rmdir "$1" 2>/dev/null
{section("supplies")}
folder=$2
set -- "$folder"
{SUPPLIES_SCRIPT}
"""


@dataclass(frozen=True)
class DeviceFacts:
    """What a device says beside its description and readings; None where it does not.

    Attributes:
        page_size_bytes: of its kernel.
        governors: cpufreq governor per CPU.
        zones: readable thermal zones, and all.
        lease: who uses the device by its lease file, when that lease still holds.
        lease_readable: whether the lease file, or that there is none, could be read.
        battery: whose counters can be read.
        folder: why the toolkit's folder cannot be used, in words; empty where it can.
    """

    page_size_bytes: int | None = None
    governors: tuple[str, ...] = ()
    zones: tuple[int, int] | None = None
    lease: LeaseFile | None = None
    lease_readable: bool = False
    battery: PowerSupply | None = None
    folder: str | None = None


def device_facts(device: Device) -> DeviceFacts:
    """Ask a device.

    Raises:
        DeviceError: it cannot be reached.
    """
    script = ["sh", "-c", _SCRIPT, "slm-doctor", device.workdir, SUPPLIES_FOLDER]
    return parse_facts(device.shell(script, timeout_s=_TIMEOUT_S).stdout)


def parse_facts(text: str) -> DeviceFacts:
    """Read the output of the doctor's script."""
    sections = split_sections(text)
    page_size = sections.get("page-size", "").strip()
    zones = re.fullmatch(r"(\d+) (\d+)", sections.get("zones", "").strip())
    lease, uptime = sections.get("lease", "").strip(), sections.get("uptime", "")
    return DeviceFacts(
        page_size_bytes=int(page_size) if re.fullmatch(r"[0-9]{4,6}", page_size) else None,
        governors=tuple(sections.get("governors", "").split()),
        zones=(int(zones[1]), int(zones[2])) if zones else None,
        lease=parse_lease(lease, uptime=uptime, boot=sections.get("boot", "")),
        lease_readable=lease == "none" or is_lease(lease, uptime=uptime),
        battery=battery_with_counters(parse_power_supplies(sections.get("supplies", ""))),
        folder=_folder(sections.get("folder")),
    )


def _folder(tried: str | None) -> str | None:
    """What came of writing a file into the folder and running it."""
    if tried is None:
        return None
    said, _, code = tried.strip().rpartition("code ")
    if not code.isdigit():
        return f"cannot be written to: {_last_line(tried) or 'no reason given'}"
    # 126 is the shell's word for a file that may not be run; where its first line names no program here, that
    # is another code, and says nothing of programs that do without.
    return f"runs no programs: {_last_line(said) or 'no reason given'}" if code == "126" else ""


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][-200:]


def device_findings(
    info: DeviceInfo, facts: DeviceFacts, readings: Readings, *, host: str, artifact: Artifact | None = None
) -> list[Finding]:
    """Judge a device that can be reached.

    Args:
        info: its description.
        facts: what else it said.
        readings: its conditions now.
        host: this host's name in leases.
        artifact: what shall run there, if known.
    """
    say = _Lines(info.serial)
    _judge_system(say, info, facts)
    _judge_folder(say, facts)
    if artifact is not None:
        _judge_artifact(say, info, readings, artifact)
    _judge_sensors(say, info, facts, readings)
    _judge_clocks(say, info, readings)
    _judge_power(say, info, facts, readings)
    _judge_use(say, facts, host)
    verdict = judge(readings, limits_for(GateOptions(), info.kind))
    if verdict.unmet:
        say.warn("gate", f"would wait: {', '.join(verdict.unmet)}", "Let it cool, or end what runs on it.")
    elif verdict.unreadable:
        say.warn(
            "gate", f"a run could start now, but the gate cannot see {', '.join(verdict.unreadable)}",
            "Look after what it cannot see yourself; runs are marked.",
        )  # fmt: skip
    else:
        say.ok("gate", "a run could start now")
    return say.findings


class _Lines:
    def __init__(self, serial: str) -> None:
        self.findings: list[Finding] = []
        self._serial = serial

    def ok(self, check: str, found: str) -> None:
        self.findings.append(Finding(self._serial, check, "ok", found))

    def warn(self, check: str, found: str, next_step: str) -> None:
        self.findings.append(Finding(self._serial, check, "warn", found, next_step))

    def fail(self, check: str, found: str, next_step: str) -> None:
        self.findings.append(Finding(self._serial, check, "fail", found, next_step))

    def add(self, level: Level, check: str, found: str, next_step: str) -> None:
        self.findings.append(Finding(self._serial, check, level, found, None if level == "ok" else next_step))


def _judge_folder(say: _Lines, facts: DeviceFacts) -> None:
    if facts.folder:
        say.fail(
            "folder", facts.folder,
            "Free some space there, or allow it: a folder that is mounted read-only or noexec, or that the "
            "system's rules forbid, cannot be measured in.",
        )  # fmt: skip
    elif facts.folder is None:
        say.warn("folder", "whether it can be used cannot be read", "Run the same command again.")
    else:
        say.ok("folder", "can be written to, and runs programs")


def _judge_system(say: _Lines, info: DeviceInfo, facts: DeviceFacts) -> None:
    name = " ".join(part for part in (info.manufacturer, info.model, info.os_version) if part) or "usable"
    say.ok("state", f"{name}, virtual: its results are marked emulated" if info.emulated else name)
    if info.abi is None:
        say.fail("ABI", "unreadable", "Reconnect the device; see slm devices list.")
    else:
        try:
            check_abi(info.abi)
            say.ok("ABI", info.abi)
        except ToolkitError as error:
            say.fail("ABI", f"{info.abi}: {error.what}", error.next_step or "Use another device.")
    if info.kind == "adb":
        level = info.api_level
        if level is None:
            say.warn("API level", "unreadable", "Check `adb shell getprop ro.build.version.sdk`.")
        elif level < _THERMAL_API_LEVEL:
            say.warn(
                "API level", f"{level}: before Android 10 there is no thermal status",
                "Throttling shows in frequency caps only, where they can be read.",
            )  # fmt: skip
        else:
            say.ok("API level", str(level))
    _judge_pages(say, info.abi, facts.page_size_bytes)


def _judge_pages(say: _Lines, abi: str | None, size: int | None) -> None:
    if size is None:
        say.warn("page size", "unreadable", "Check that bundles start: slm generate.")
        return
    # A device whose ABI is unknown or not ours has a failed line for that.
    largest = _LARGEST_PAGE_BYTES.get(abi or "", size)
    surely = MINIMUM_ALIGNMENT_BYTES.get(abi or "", size)
    if size > largest:
        say.fail(
            "page size", f"{size} bytes",
            f"Libraries for {abi} are aligned for pages of up to {largest // 1024} KB: use another device, "
            "or an emulator's image with such pages.",
        )  # fmt: skip
    elif size > surely:
        say.warn(
            "page size", f"{size} bytes",
            f"Some libraries are aligned for pages of {surely // 1024} KB alone; a run there may be refused.",
        )  # fmt: skip
    else:
        say.ok("page size", f"{size} bytes")


def _judge_artifact(say: _Lines, info: DeviceInfo, readings: Readings, artifact: Artifact) -> None:
    need = artifact.manifest.size_bytes + _BUNDLE_BYTES
    if info.free_bytes is None:
        say.warn("space", "free space is unreadable", "Check `df` on the device.")
    else:
        say.add(
            "ok" if info.free_bytes >= need else "fail", "space",
            f"{info.free_bytes / 1e9:.1f} GB free, {artifact.name} and a runner need {need / 1e9:.2f} GB",
            "Free some space: slm devices clean.",
        )  # fmt: skip
    need = minimum_ram_bytes(artifact, ProfileRequest())
    if info.ram_bytes is not None and need > info.ram_bytes:
        say.fail(
            "memory", f"{info.ram_bytes / 1e9:.1f} GB in all, {artifact.name} needs {need / 1e9:.1f} GB",
            "Use a smaller model or fewer bits.",
        )  # fmt: skip
    elif readings.available_ram_bytes is None:
        say.warn("memory", "available memory is unreadable", "Check /proc/meminfo on the device.")
    else:
        free = readings.available_ram_bytes
        say.add(
            "ok" if free >= need else "warn", "memory",
            f"{free / 1e9:.1f} GB available, {artifact.name} needs at least {need / 1e9:.2f} GB",
            "Close apps: else Android ends some, and the run may swap.",
        )  # fmt: skip


def _judge_sensors(say: _Lines, info: DeviceInfo, facts: DeviceFacts, readings: Readings) -> None:
    celsius, zones = readings.hottest_cpu_celsius, facts.zones
    count = f"{zones[0]} of {zones[1]} zones readable" if zones else "zones unreadable"
    if celsius is None:
        say.warn(
            "CPU temperature", f"unreadable ({count})", "The gate cannot see heat: leave pauses between runs."
        )
    else:
        say.ok("CPU temperature", f"{celsius:.1f} C ({count})")
    if info.kind == "adb":
        if readings.thermal_status is None:
            say.warn("thermal status", "unreadable", "Throttling shows in frequency caps only.")
        else:
            level: Level = "ok" if readings.thermal_status == 0 else "warn"
            say.add(level, "thermal status", str(readings.thermal_status), "Let it cool.")
    governors = sorted(set(facts.governors))
    if not governors:
        say.warn("governor", "unreadable", "Clocks are the kernel's secret: compare runs with care.")
    elif "powersave" in governors and info.kind != "local":
        # On phones it pins the lowest clock. Intel's driver, on hosts, means something else by the same word.
        say.warn("governor", ", ".join(governors), "Switch power saving off.")
    else:
        say.ok("governor", ", ".join(governors))


def _judge_clocks(say: _Lines, info: DeviceInfo, readings: Readings) -> None:
    online, count = readings.online_cpus, info.cpu_cores
    if online is None or count is None:
        say.warn("cores", "unreadable", "A core that is switched off would not show: compare runs with care.")
    else:
        say.add(
            "ok" if len(online) >= count else "warn", "cores", f"{len(online)} of {count} on line",
            "Let it cool, or leave power saving; or switch them on.",
        )  # fmt: skip
    caps, maxima = readings.cpu_frequency_caps_khz, readings.cpu_maximum_frequencies_khz
    if limited := limited_words(readings):
        say.warn(
            "frequency caps", limited, "Let it cool, or leave power saving: runs would count as throttled."
        )
    elif not caps or not maxima:
        say.warn("frequency caps", "unreadable", "Throttling shows in the thermal status only, if at all.")
    elif unknown := unknown_caps_words(caps, maxima, online or range(len(caps))):
        say.warn("frequency caps", unknown, "Whether a run was throttled stays unknown: compare with care.")
    else:
        say.ok("frequency caps", f"up to {max(cap for cap in caps if cap is not None) / 1e6:.2f} GHz")


def _judge_power(say: _Lines, info: DeviceInfo, facts: DeviceFacts, readings: Readings) -> None:
    percent, charging = readings.battery_percent, readings.charging
    if percent is not None:
        low = percent < _LOW_BATTERY_PERCENT
        say.add("warn" if low else "ok", "battery", f"{percent}%", "Charge it: phones save power when low.")
    if readings.power_source is not None:
        say.ok("power", f"{readings.power_source}{'; --energy needs it unplugged' if charging else ''}")
    if percent is None and info.kind == "adb":
        say.warn("battery", "none, or unreadable", "Check `adb shell dumpsys battery`.")
    elif percent is None and charging is None and facts.battery is None:
        say.ok("battery", "none, or none that tells of itself; --energy is not possible")
        return
    if charging is None:
        say.warn("power", "whether it charges is unreadable", "Try `dumpsys battery reset`.")
    if facts.battery is None:
        say.warn("energy counters", "none readable", "--energy is not possible on this device.")
    else:
        say.ok("energy counters", facts.battery.path)
    if readings.screen_on is not None:
        level: Level = "warn" if readings.screen_on else "ok"
        say.add(
            level,
            "screen",
            "on" if readings.screen_on else "off",
            "Switch it off: it draws and heats. A run in the app lights it itself.",
        )
    else:
        say.warn("screen", "unreadable", "Switch it off by hand.")


def _judge_use(say: _Lines, facts: DeviceFacts, host: str) -> None:
    lease = facts.lease
    if lease is None and not facts.lease_readable:
        say.warn("in use", "unreadable", "Make sure that no other host measures there.")
    elif lease is None:
        say.ok("in use", "by nobody")
    elif lease.host == host:
        say.warn("in use", f"by this host: {lease.who}", "Wait until it has finished.")
    else:
        say.fail(
            "in use", f"by another host: {lease.who}, for up to {lease.left_s} s",
            "Wait, or if that host is gone: slm devices release.",
        )  # fmt: skip
