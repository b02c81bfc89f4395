"""An adb that cannot say which phones are attached is not an adb that says that there are none."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from private_adb import adb_binary

from toolkit.devices.adb.client import AdbClient
from toolkit.devices.discovery import attached_phones, list_devices, open_device
from toolkit.devices.selection import chosen_serials
from toolkit.errors import AdbServerFailed, DeviceUnreadable
from toolkit.settings import Settings

# What is printed when a port is held by another program, and by an adb that died on its way.
SAYINGS = {
    "no-ack": (
        "echo '* daemon not running; starting now at tcp:5037' >&2; echo \"ADB server didn't ACK\" >&2;"
        " echo 'error: cannot connect to daemon' >&2; exit 1"
    ),
    "silent": "exit 0",
    "killed": "kill -9 $$",
    "missing-library": "echo 'error while loading shared libraries: libusb.so' >&2; exit 127",
    "listing-that-failed": "echo 'List of devices attached'; echo 'error: protocol fault' >&2; exit 1",
}


@pytest.fixture(params=sorted(SAYINGS))
def broken_adb(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    adb = tmp_path / "adb"
    adb.write_text(f"#!/bin/sh\n{SAYINGS[request.param]}\n")
    adb.chmod(0o755)
    return adb


def settings(tmp_path: Path, adb: Path) -> Settings:
    return Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", store_url="sqlite://", adb=adb)


def slm(environment: Mapping[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", *args],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def test_every_question_about_phones_fails_with_the_reason(broken_adb: Path, tmp_path: Path) -> None:
    for ask in (attached_phones, list_devices, lambda chosen: open_device("R58N12ABCDE", chosen)):
        with pytest.raises(AdbServerFailed, match="devices` failed"):
            ask(settings(tmp_path, broken_adb))


def test_this_machine_is_listed_and_the_command_fails(broken_adb: Path, tmp_path: Path) -> None:
    environment = {"SLM_ADB": str(broken_adb), "SLM_DATA_DIR": str(tmp_path)}
    listed = slm(environment, "devices", "list", "--json")
    assert listed.returncode == AdbServerFailed.exit_code
    assert [device["serial"] for device in json.loads(listed.stdout)] == ["local"]
    assert "devices` failed" in listed.stderr and "Traceback" not in listed.stderr


@pytest.mark.parametrize(
    ("attached", "code"),
    [
        ({}, 0),
        ({"R58N12ABCDE": "unauthorized", "R58N12ABCDF": "offline"}, 0),
        ({"R58N12ABCDE": "device", "R58N12ABCDF": "offline"}, DeviceUnreadable.exit_code),
        ({"R58N12ABCDE": "device", "R58N12ABCDF": "device"}, DeviceUnreadable.exit_code),
    ],
)
def test_no_phone_and_phones_that_do_not_answer_are_two_answers(
    attached: dict[str, str], code: int, tmp_path: Path
) -> None:
    lines = "".join(f"echo '{serial}  {state} usb:1-1';" for serial, state in attached.items())
    adb = tmp_path / "adb"
    adb.write_text(
        f"#!/bin/sh\ncase \"$*\" in *devices*) echo 'List of devices attached'; {lines} exit 0;; esac\n"
        "echo 'error: closed' >&2; exit 1\n"
    )
    adb.chmod(0o755)
    listed = slm({"SLM_ADB": str(adb), "SLM_DATA_DIR": str(tmp_path)}, "devices", "list", "--json")
    assert listed.returncode == code, listed.stderr
    states = {device["serial"]: device["state"] for device in json.loads(listed.stdout)}
    silent = {serial for serial, state in attached.items() if state == "device"}
    assert states == {"local": "device", **attached, **dict.fromkeys(silent, "unresponsive")}
    assert all(serial in listed.stderr for serial in silent) and "Traceback" not in listed.stderr
    if silent:
        assert f"{len(silent)} of 2 phones did not answer" in listed.stderr


def test_this_machine_is_measured_only_when_it_is_named(broken_adb: Path, tmp_path: Path) -> None:
    for named in ([], ["all"]):
        with pytest.raises(AdbServerFailed, match="--device local"):
            chosen_serials(named, settings(tmp_path, broken_adb))
    assert chosen_serials(["local"], settings(tmp_path, broken_adb)) == ["local"]


@pytest.mark.parametrize("damage", ["no such file", "not executable", "a folder", "another system's"])
def test_an_adb_that_cannot_be_run_is_not_the_absence_of_phones(damage: str, tmp_path: Path) -> None:
    adb = tmp_path / "adb"
    if damage == "a folder":
        adb.mkdir()
    elif damage != "no such file":
        adb.write_bytes(b"MZ\x90\x00")
        adb.chmod(0o644 if damage == "not executable" else 0o755)
    for ask in (attached_phones, list_devices, lambda chosen: chosen_serials([], chosen)):
        with pytest.raises(AdbServerFailed, match=str(adb)) as caught:
            ask(settings(tmp_path, adb))
        assert "--device local" in (caught.value.next_step or "")
    assert chosen_serials(["local"], settings(tmp_path, adb)) == ["local"]


def test_the_doctor_tells_it_beside_what_it_found_on_this_machine(broken_adb: Path, tmp_path: Path) -> None:
    doctor = slm({"SLM_ADB": str(broken_adb), "SLM_DATA_DIR": str(tmp_path)}, "doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(doctor.stdout)}
    assert findings["phones"]["level"] == "fail" and doctor.returncode != 0
    assert len(findings) > 3


def test_the_real_adb_that_cannot_write_to_its_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(probe.getsockname()[1]))
    monkeypatch.setenv("HOME", "/proc")
    with pytest.raises(AdbServerFailed, match="/proc"):
        AdbClient(adb_binary("default")).devices()
