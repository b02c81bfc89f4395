"""What the doctor says about hosts and devices, judged on facts and seen through the real adb."""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from private_adb import AdbServer
from slm_process import SlmProcess
from virtual_phones import running_phone

from toolkit.artifact import Artifact
from toolkit.care.device_findings import LEASE_SCRIPT, DeviceFacts, device_findings, parse_facts
from toolkit.care.finding import Finding, exit_code
from toolkit.care.host_findings import parse_adb_version
from toolkit.devices.base import DeviceInfo, Readings
from toolkit.devices.lease import LEASE_FILE, LeaseFile, parse_lease
from toolkit.devices.power_supply import PowerSupply
from toolkit.devices.virtual.conditions import Conditions, set_conditions
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings

INFO = DeviceInfo(
    serial="R58",
    kind="adb",
    state="device",
    model="Phone",
    abi="arm64-v8a",
    os_version="Android 14",
    api_level=34,
    cpu_cores=8,
    ram_bytes=8_000_000_000,
    free_bytes=20_000_000_000,
)
FACTS = DeviceFacts(
    page_size_bytes=4096,
    governors=("schedutil",) * 8,
    zones=(30, 82),
    lease_readable=True,
    battery=PowerSupply("/sys/class/power_supply/battery", "Battery", "Discharging", -310_000, 4_000_000),
    folder="",
)
BLIND = replace(FACTS, zones=None)
READINGS = Readings(
    unix_ns=1,
    cpu_busy=0.05,
    online_cpus=tuple(range(8)),
    cpu_frequency_caps_khz=(2_400_000,) * 8,
    cpu_maximum_frequencies_khz=(2_400_000,) * 8,
    available_ram_bytes=4_000_000_000,
    thermal_status=0,
    hottest_cpu_celsius=33.5,
    battery_percent=80,
    charging=False,
    power_source="battery",
    screen_on=False,
)


def findings(
    *, info: DeviceInfo = INFO, facts: DeviceFacts = FACTS, artifact: Artifact | None = None, **changed: Any
) -> dict[str, Finding]:
    found = device_findings(info, facts, replace(READINGS, **changed), host="us", artifact=artifact)
    return {finding.check: finding for finding in found}


def test_a_healthy_phone_has_nothing_but_ok_lines(artifact: Artifact) -> None:
    lines = findings(artifact=artifact)
    assert [line for line in lines.values() if line.level != "ok"] == []
    assert exit_code(list(lines.values())) == 0
    assert all(line.next_step is None and line.subject == "R58" for line in lines.values())
    assert {
        "ABI",
        "API level",
        "page size",
        "space",
        "memory",
        "governor",
        "screen",
        "in use",
    } <= lines.keys()


@pytest.mark.parametrize(
    ("change", "check", "level", "words"),
    [
        ({"info": replace(INFO, abi="armeabi-v7a")}, "ABI", "fail", "armeabi-v7a"),
        ({"info": replace(INFO, abi=None)}, "ABI", "fail", "unreadable"),
        ({"info": replace(INFO, api_level=28)}, "API level", "warn", "before Android 10"),
        ({"info": replace(INFO, free_bytes=1_000_000)}, "space", "fail", "0.0 GB free"),
        ({"info": replace(INFO, free_bytes=None)}, "space", "warn", "unreadable"),
        ({"info": replace(INFO, ram_bytes=1000)}, "memory", "fail", "in all"),
        ({"available_ram_bytes": 1000}, "memory", "warn", "available"),
        ({"available_ram_bytes": None}, "memory", "warn", "unreadable"),
        ({"facts": replace(FACTS, page_size_bytes=None)}, "page size", "warn", "unreadable"),
        ({"facts": replace(FACTS, page_size_bytes=262144)}, "page size", "fail", "262144"),
        ({"facts": replace(FACTS, page_size_bytes=65536)}, "page size", "warn", "65536"),
        (
            {"facts": replace(FACTS, page_size_bytes=16384), "info": replace(INFO, abi="x86_64")},
            "page size", "fail", "16384",
        ),
        ({"facts": replace(FACTS, governors=())}, "governor", "warn", "unreadable"),
        ({"facts": replace(FACTS, governors=("powersave",))}, "governor", "warn", "powersave"),
        ({"hottest_cpu_celsius": None}, "CPU temperature", "warn", "unreadable (30 of 82"),
        ({"hottest_cpu_celsius": None, "facts": BLIND}, "CPU temperature", "warn", "zones unreadable"),
        ({"thermal_status": None}, "thermal status", "warn", "unreadable"),
        ({"thermal_status": 3}, "thermal status", "warn", "3"),
        ({"battery_percent": 9}, "battery", "warn", "9%"),
        ({"charging": None, "power_source": None}, "power", "warn", "unreadable"),
        ({"facts": replace(FACTS, battery=None)}, "energy counters", "warn", "none"),
        ({"screen_on": True}, "screen", "warn", "on"),
        ({"screen_on": None}, "screen", "warn", "unreadable"),
        ({"hottest_cpu_celsius": 71.0}, "gate", "warn", "71.0 C"),
        ({"hottest_cpu_celsius": None}, "gate", "warn", "cannot see hottest_cpu_celsius"),
        ({"online_cpus": (0, 1, 2, 3)}, "cores", "warn", "4 of 8 on line"),
        ({"online_cpus": None}, "cores", "warn", "unreadable"),
        ({"info": replace(INFO, cpu_cores=None)}, "cores", "warn", "unreadable"),
        ({"cpu_frequency_caps_khz": (600_000,) * 8}, "frequency caps", "warn", "0.60 of 2.40 GHz on 8 CPUs"),
        ({"cpu_frequency_caps_khz": None}, "frequency caps", "warn", "unreadable"),
        ({"cpu_maximum_frequencies_khz": None}, "frequency caps", "warn", "unreadable"),
        (
            {"cpu_maximum_frequencies_khz": (2_400_000,) * 2 + (None,) * 6},
            "frequency caps", "warn", "the highest frequency of CPUs 2-7 cannot be read",
        ),
        (
            {"cpu_frequency_caps_khz": (2_400_000,) * 7 + (None,)},
            "frequency caps", "warn", "the frequency caps of CPU 7 cannot be read",
        ),
        ({"cpu_frequency_caps_khz": (None,) * 8}, "frequency caps", "warn", "cannot be read"),
        ({"battery_percent": None}, "battery", "warn", "unreadable"),
        ({"facts": replace(FACTS, folder="runs no programs: x")}, "folder", "fail", "runs no programs: x"),
        ({"facts": replace(FACTS, folder=None)}, "folder", "warn", "cannot be read"),
        ({"facts": replace(FACTS, lease_readable=False)}, "in use", "warn", "unreadable"),
        ({"facts": replace(FACTS, lease=LeaseFile("us", "m@h", 9))}, "in use", "warn", "this host: m@h"),
        ({"facts": replace(FACTS, lease=LeaseFile("they", "x@y", 9))}, "in use", "fail", "another host: x@y"),
    ],
)  # fmt: skip
def test_what_is_not_well_has_a_level_and_a_next_step(
    artifact: Artifact, change: dict[str, Any], check: str, level: str, words: str
) -> None:
    line = findings(artifact=artifact, **change)[check]
    assert (line.level, words in line.found) == (level, True), line
    assert line.next_step


@pytest.mark.parametrize(("abi", "size"), [("arm64-v8a", 16384), ("x86_64", 4096)])
def test_pages_that_every_library_is_aligned_for_are_well(abi: str, size: int) -> None:
    line = findings(info=replace(INFO, abi=abi), facts=replace(FACTS, page_size_bytes=size))["page size"]
    assert line.level == "ok"


def test_a_cpu_that_is_off_line_has_a_line_for_that_alone() -> None:
    """The kernel has no caps for it; the line for cores says that it is off."""
    lines = findings(
        online_cpus=tuple(range(7)),
        cpu_frequency_caps_khz=(2_400_000,) * 7 + (None,),
        cpu_maximum_frequencies_khz=(2_400_000,) * 7 + (None,),
    )
    assert (lines["cores"].level, lines["frequency caps"].level) == ("warn", "ok")


def test_charging_is_well_but_said_to_rule_out_energy() -> None:
    line = findings(charging=True, power_source="usb")["power"]
    assert (line.level, line.found) == ("ok", "usb; --energy needs it unplugged")


def test_a_machine_without_battery_or_android_is_not_asked_for_them() -> None:
    info = replace(INFO, kind="local", serial="local", api_level=None, abi="x86_64")
    blank = {"battery_percent": None, "charging": None, "power_source": None, "screen_on": None}
    lines = findings(info=info, facts=replace(FACTS, battery=None), **blank)
    assert not {"API level", "thermal status", "screen", "energy counters"} & lines.keys()
    assert lines["battery"].level == "ok"


def test_the_worst_line_decides_the_exit_code() -> None:
    lines = [Finding("host", "a", level, "") for level in ("ok", "warn", "fail")]  # type: ignore[arg-type]
    assert [exit_code(lines[:count]) for count in range(4)] == [0, 0, 1, 2]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("Android Debug Bridge version 1.0.41\nVersion 36.0.0-13206524\nInstalled as /x\n", "36.0.0"),
        ("Android Debug Bridge version 1.0.41\nVersion 29.0.6-debian\n", "29.0.6"),
        ("Android Debug Bridge version 1.0.32\n", None),
        ("", None),
    ],
)
def test_adb_version(text: str, version: str | None) -> None:
    assert parse_adb_version(text) == version


LEASE = "token\nhost-a\n100\n250\nboot-1\nann@desk, process 7\n"


@pytest.mark.parametrize(
    ("text", "uptime", "boot", "lease"),
    [
        (LEASE, "200.55 1.0\n", "boot-1\n", LeaseFile("host-a", "ann@desk, process 7", 50)),
        (LEASE, "250.00 1.0\n", "boot-1\n", None),
        (LEASE, "99.00 1.0\n", "boot-1\n", None),
        (LEASE, "200.55 1.0\n", "boot-2\n", None),
        (LEASE, "", "boot-1\n", None),
        (LEASE.replace("250", "soon"), "200.0", "boot-1", None),
        ("token\nhost-a\n", "200.0", "boot-1", None),
        ("", "200.0", "boot-1", None),
    ],
)
def test_a_lease_counts_while_it_holds(text: str, uptime: str, boot: str, lease: LeaseFile | None) -> None:
    assert parse_lease(text, uptime=uptime, boot=boot) == lease


@pytest.mark.parametrize(
    ("lease", "uptime", "readable"),
    [
        ("none\n", "1.0", True),
        (LEASE, "900.0", True),
        (LEASE, "", False),
        ("token\n", "1.0", False),
        ("", "1", False),
    ],
)
def test_a_lease_that_cannot_be_read_is_not_taken_for_none(lease: str, uptime: str, readable: bool) -> None:
    text = f"\n@@slm-section lease\n{lease}\n@@slm-section uptime\n{uptime}\n"
    facts = parse_facts(text)
    assert (facts.lease, facts.lease_readable) == (None, readable)


def test_a_folder_that_may_not_be_looked_into_is_not_free() -> None:
    def says(folder: Path) -> str:
        # Root may look into everything, so somebody else asks.
        other = 65534 if os.getuid() == 0 else None
        command = ["sh", "-c", LEASE_SCRIPT, "slm-lease", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False, user=other).stdout.strip()

    with TemporaryDirectory(dir="/tmp") as made:
        place = Path(made)
        place.chmod(0o755)
        (place / "slm").mkdir(mode=0o755)
        assert says(place / "slm") == says(place / "absent" / "slm") == "none"
        (place / "slm" / LEASE_FILE).write_text("held")
        assert says(place / "slm") == "held"
        (place / "slm").chmod(0)
        assert says(place / "slm") == says(place / "slm" / "deeper") == ""
        (place / "slm").chmod(0o755)


def test_a_device_that_answers_nothing_has_no_facts() -> None:
    assert parse_facts("") == DeviceFacts()
    assert parse_facts("\n@@slm-section page-size\nunknown\n\n@@slm-section zones\n? ?\n") == DeviceFacts()


@given(st.text(st.sampled_from("@slm-section pagezonleu 0123456789\n/"), max_size=200))
def test_no_answer_makes_the_doctor_fail(text: str) -> None:
    parse_facts(text)


@pytest.fixture
def healthy(phone: VirtualPhone) -> VirtualPhone:
    names = ("thermal_status", "battery_percent", "charging", "screen_on", "cpu_busy", "zones", "current_ua")
    set_conditions(phone, **{name: getattr(Conditions(), name) for name in names})
    return phone


def run_doctor(
    slm: SlmProcess, *arguments: object, **environ: str
) -> tuple[int, dict[tuple[str, str], dict[str, Any]]]:
    process = slm("doctor", *arguments, "--json", **environ)
    out, err = process.communicate(timeout=90)
    assert out, err
    return process.returncode, {(line["subject"], line["check"]): line for line in json.loads(out)}


def test_a_phone_through_adb(healthy: VirtualPhone, slm: SlmProcess, artifact: Artifact) -> None:
    serial = healthy.serial
    _, lines = run_doctor(slm, "--device", serial, "--artifact", artifact.path)
    of_phone = {check: line for (subject, check), line in lines.items() if subject == serial}
    assert {line["level"] for line in of_phone.values()} == {"ok"}, of_phone
    assert "emulated" in of_phone["state"]["found"]
    assert of_phone["page size"]["found"] == "4096 bytes"
    assert of_phone["CPU temperature"]["found"] == "32.5 C (5 of 5 zones readable)"
    assert of_phone["governor"]["found"] == "schedutil"
    assert of_phone["energy counters"]["found"] == "/sys/class/power_supply/battery"
    assert lines[("host", "extra [runner]")]["level"] == "ok"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ("noexec", r"runs no programs: .*/slm-toolkit/\.trial-\d+: Permission denied"),
        ("read-only", "cannot be written to: .*Read-only file system"),
    ],
)
def test_a_phone_whose_data_cannot_be_used_is_not_fit(
    adb_server: AdbServer, phones_home: Settings, slm: SlmProcess, data: Any, found: str
) -> None:
    spec = PhoneSpec(f"data-{data}", model="Virtual", faults=Faults(data=data))
    with running_phone(adb_server.client, phones_home, spec) as phone:
        _, lines = run_doctor(slm, "-d", phone.serial)
        line = lines[(phone.serial, "folder")]
        assert line["level"] == "fail" and re.search(found, line["found"]), line
        assert list((phone.root / "data/local/tmp").iterdir()) == [], "nothing is left"


def test_a_phone_that_is_not_fit_says_so(healthy: VirtualPhone, slm: SlmProcess) -> None:
    set_conditions(healthy, charging=True, zones={"cpu-0-0": 66.0}, screen_on=True, battery_percent=11)
    lease = healthy.root / "data/local/tmp/slm-toolkit/lease"
    uptime = int(float(Path("/proc/uptime").read_text().split()[0]))
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    lease.parent.mkdir(parents=True, exist_ok=True)
    lease.write_text(f"t\nanother-host\n{uptime - 5}\n{uptime + 500}\n{boot}\nann@desk\n")
    try:
        code, lines = run_doctor(slm, "-d", healthy.serial)
    finally:
        lease.unlink()
        set_conditions(healthy, charging=False, zones={"cpu-0-0": 31.0}, screen_on=False, battery_percent=80)
    levels = {check: line["level"] for (subject, check), line in lines.items() if subject == healthy.serial}
    assert code == 2
    assert levels["in use"] == "fail"
    assert {levels[check] for check in ("gate", "screen", "battery")} == {"warn"}


def test_every_attached_phone_is_looked_at_by_default(healthy: VirtualPhone, slm: SlmProcess) -> None:
    for named in ((), ("-d", "all", "-d", healthy.serial)):
        _, lines = run_doctor(slm, *named)
        assert (healthy.serial, "gate") in lines


def test_a_missing_phone_is_one_failed_line_and_the_rest_is_looked_at(
    healthy: VirtualPhone, slm: SlmProcess
) -> None:
    code, lines = run_doctor(slm, "-d", "no-such-phone", "-d", "local")
    assert code == 2
    missing = lines[("no-such-phone", "state")]
    assert missing["level"] == "fail" and healthy.serial in missing["next_step"]
    assert lines[("local", "ABI")]["level"] == "ok"


def test_without_adb_the_host_is_looked_at_all_the_same(slm: SlmProcess, tmp_path: Path) -> None:
    code, lines = run_doctor(slm, SLM_ADB=str(tmp_path / "none"))
    assert code == 2
    assert lines[("host", "adb")]["level"] == "fail" and "adb" in lines[("host", "adb")]["next_step"]
    assert {subject for subject, _ in lines} == {"host"}


def test_people_get_one_line_per_check(healthy: VirtualPhone, slm: SlmProcess) -> None:
    process = slm("doctor", "-d", healthy.serial)
    out, _ = process.communicate(timeout=90)
    assert f"\n{healthy.serial}\n" in out and out.startswith("host\n")
    assert "  ok    ABI" in out
