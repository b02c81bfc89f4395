"""`slm devices watch`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from virtual_phones import OpenPhone

from toolkit.care.watching import Watch, Watched
from toolkit.cli import device_watch
from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.virtual.conditions import set_conditions
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.locks import holder
from toolkit.settings import Settings


def look(watch: Watch, phone: VirtualPhone) -> Watched:
    return next(one for one in watch.look() if one.serial == phone.serial)


def test_a_phone_is_shown_with_its_heat_and_battery(
    phone_settings: Settings, shared_phone: VirtualPhone, capsys: pytest.CaptureFixture[str]
) -> None:
    set_conditions(shared_phone, battery_percent=12, thermal_status=3)
    watch = Watch(phone_settings)
    seen = watch.look()
    assert seen[0].serial == "local" and {one.state for one in seen} == {"device"}
    device_watch._print(seen, False)
    shown = capsys.readouterr().out
    assert shared_phone.serial in shown and "12%" in shown and "severe" in shown
    set_conditions(shared_phone, battery_percent=90, thermal_status=0)
    readings = look(watch, shared_phone).readings
    assert readings is not None and (readings.battery_percent, readings.thermal_status) == (90, 0)


def test_a_phone_in_use_is_not_asked_and_its_user_is_named(
    phone_settings: Settings, shared_phone: VirtualPhone, open_phone: OpenPhone
) -> None:
    watch = Watch(phone_settings)
    before = look(watch, shared_phone).readings
    with open_phone(shared_phone).lock():
        set_conditions(shared_phone, battery_percent=33)
        used = look(watch, shared_phone)
        assert used.used_by == f"process {os.getpid()}" and used.running
        assert Path(f"/proc/{os.getpid()}/cmdline").read_bytes().split(b"\0")[-2].decode() in used.running
        assert used.readings == before
    free = look(watch, shared_phone)
    assert free.used_by is None and free.readings is not None and free.readings.battery_percent == 33


def test_another_host_is_named_by_its_lease(
    phone_settings: Settings, shared_phone: VirtualPhone, adb_client: AdbClient, tmp_path: Path
) -> None:
    other = AdbDevice(shared_phone.serial, adb_client, lock_folder=tmp_path / "other")
    with other.lock():
        used = look(Watch(phone_settings), shared_phone)
    assert used.used_by and "@" in used.used_by and used.running is None


def test_asking_who_holds_a_lock_takes_it_from_nobody(tmp_path: Path) -> None:
    assert holder(tmp_path / "none.lock") is None
    (tmp_path / "free.lock").write_text("1234\n")
    assert holder(tmp_path / "free.lock") is None


def test_json_is_a_line_per_device(phone_settings: Settings, shared_phone: VirtualPhone) -> None:
    environment = {
        **os.environ,
        "SLM_DATA_DIR": str(phone_settings.data_dir),
        "SLM_ADB": str(phone_settings.adb),
    }
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "toolkit.cli.main",
            "devices",
            "watch",
            "--rounds",
            "2",
            "--interval",
            "0.5",
            "--json",
        ],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["serial"] for one in lines].count(shared_phone.serial) == 2
    assert all(one["state"] == "device" and one["readings"]["unix_ns"] for one in lines)
