"""`slm devices watch`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from virtual_phones import OpenPhone

from toolkit.care.watching import Watch, Watched
from toolkit.cli import device_watch
from toolkit.cli.main import app
from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.adb.parsers import AttachedDevice
from toolkit.devices.base import Readings
from toolkit.devices.virtual.conditions import set_conditions
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.errors import AdbServerFailed
from toolkit.locks import holder
from toolkit.settings import Settings


def look(watch: Watch, phone: VirtualPhone) -> Watched:
    return next(one for one in watch.look() if one.serial == phone.serial)


def test_a_phone_is_shown_with_its_heat_and_battery(
    phone_settings: Settings, shared_phone: VirtualPhone
) -> None:
    set_conditions(shared_phone, battery_percent=12, thermal_status=3)
    watch = Watch(phone_settings)
    seen = watch.look()
    assert seen[0].serial == "local" and {one.state for one in seen} == {"device"}
    shown = "\n".join(line.plain for line in device_watch._table(seen))
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


class Hiccup(Watch):
    """adb starts again at the first look."""

    looks = 0

    def look(self) -> list[Watched]:
        self.looks += 1
        if self.looks == 1:
            raise AdbServerFailed("adb says nothing", next_step="adb start-server")
        return [Watched("R5CT", None, "unauthorized", advice="Unlock the phone")]


@pytest.mark.parametrize("as_json", [True, False])
def test_a_look_that_fails_is_said_and_the_next_one_tried(
    as_json: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.care.watching.Watch", Hiccup)
    arguments = ["devices", "watch", "--rounds", "2", "--interval", "0.5", *(["--json"] if as_json else [])]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.exception
    first, second = done.stdout.split("\n", 1)
    assert "adb says nothing" in first and "Unlock the phone" in second


def test_what_runs_stays_in_a_narrow_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    running = "slm profile /home/someone/models/artifacts/smollm2-135m-8da4w --device R5CT1234567"
    readings = Readings(unix_ns=10**18, battery_percent=90, hottest_cpu_celsius=40.0, thermal_status=0)
    seen = Watched("R5CT1234567", None, "device", None, "process 1234567", running, readings)
    lines = [line.plain for line in device_watch._table([seen])]
    assert all(len(line) <= 80 for line in lines)
    assert running in " ".join(line.strip() for line in lines)


def test_a_phone_that_cannot_be_used_comes_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    phone = AttachedDevice(serial="R5CT", state="unauthorized", tags={})
    monkeypatch.setattr("toolkit.care.watching.attached_phones", lambda settings: [phone])
    seen = Watch(Settings.from_environment()).look()[1]
    assert seen.advice is not None and "Allow USB debugging" in seen.advice
