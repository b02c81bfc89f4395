"""`slm devices` as a user types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit.devices.adb.client import AdbClient
from toolkit.devices.discovery import list_devices
from toolkit.devices.selection import chosen_serials
from toolkit.settings import Settings


@pytest.fixture
def environment(tmp_path: Path, adb_client: AdbClient, phone_settings: Settings) -> dict[str, str]:
    return {
        **os.environ,
        "SLM_DATA_DIR": str(tmp_path / "data"),
        "SLM_CACHE_DIR": str(phone_settings.cache_dir),
        "SLM_ADB": str(adb_client.binary),
    }


def slm(environment: dict[str, str], *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", *args],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def emulated(environment: dict[str, str]) -> Iterator[list[str]]:
    started = slm(environment, "devices", "emulate", "--count", "2", "--json")
    assert started.returncode == 0, started.stderr
    yield json.loads(started.stdout)
    assert slm(environment, "devices", "stop").returncode == 0


def test_emulated_phones_are_listed_beside_this_machine(
    environment: dict[str, str], emulated: list[str]
) -> None:
    listed = slm(environment, "devices", "list", "--json")
    devices = {device["serial"]: device for device in json.loads(listed.stdout)}
    assert devices["local"]["kind"] == "local"
    for serial in emulated:
        assert devices[serial]["emulated"]
        assert devices[serial]["state"] == "device"
    table = slm(environment, "devices", "list").stdout
    assert all(serial in table for serial in emulated)
    assert table.startswith("SERIAL")


def test_emulate_again_keeps_the_phones_that_run(environment: dict[str, str], emulated: list[str]) -> None:
    again = slm(environment, "devices", "emulate", "--count", "2", "--json")
    assert sorted(json.loads(again.stdout)) == sorted(emulated)
    more = slm(environment, "devices", "emulate", "--count", "3", "--json")
    assert set(emulated) < set(json.loads(more.stdout))


def test_stop_ends_them_and_forgets_them_in_adb(
    environment: dict[str, str], emulated: list[str], adb_client: AdbClient
) -> None:
    stopped = slm(environment, "devices", "emulate", "--stop", "--json")
    assert sorted(json.loads(stopped.stdout)) == sorted(emulated)
    assert not {device.serial for device in adb_client.devices()} & set(emulated)
    assert slm(environment, "devices", "stop", "--json").stdout == "[]\n"


def test_an_abi_that_cannot_be_run_is_a_usage_error(environment: dict[str, str]) -> None:
    refused = slm(environment, "devices", "emulate", "--abi", "riscv64")
    assert refused.returncode == 2
    assert "next:" in refused.stderr


def test_the_list_works_without_any_adb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("toolkit.devices.adb.binary.shutil.which", lambda name: None)
    monkeypatch.setattr("toolkit.devices.adb.binary.wheel_adb", lambda: None)
    settings = Settings(cache_dir=tmp_path, data_dir=tmp_path, store_url="sqlite://")
    assert [device.serial for device in list_devices(settings)] == ["local"]
    assert chosen_serials([], settings) == ["local"]
