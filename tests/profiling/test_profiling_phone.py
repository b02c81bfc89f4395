"""The whole path through the real adb client, a virtual phone, the real runner and real SQLite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_adb import AdbServer
from runs import ENDLESS_FLAGS, SMALL_FLAGS, held_runner, kill_runner, runner_pids, wait_for
from slm_process import SlmProcess
from virtual_phones import running_phone

from toolkit.artifact import Artifact
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.rows import RunSummary

WORKDIR = "data/local/tmp/slm-toolkit"


def stored(settings: Settings) -> list[RunSummary]:
    with open_store(settings.store_url) as store:
        return store.list_runs()


def run_folders(phone: VirtualPhone) -> list[Path]:
    folder = phone.root / WORKDIR / "runs"
    return sorted(folder.iterdir()) if folder.is_dir() else []


def started_run_id(phone: VirtualPhone) -> str:
    """The id of the run that is going on."""
    return wait_for(
        lambda: next((folder.name for folder in run_folders(phone) if runner_pids(folder.name)), None)
    )


def test_phone_and_host_in_one_command(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", artifact.path, "-d", phone.serial, "-d", "local", *SMALL_FLAGS, "--json")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    on_phone, on_host = json.loads(out)
    assert on_phone["device"]["emulated"] is True and on_host["device"]["emulated"] is False
    assert on_phone["run"]["greedy_matched"] == on_host["run"]["greedy_matched"] == 12
    assert run_folders(phone) == []

    listing = slm("results", "list")
    text, _ = listing.communicate(timeout=60)
    assert "(emulated)" in text and "12/12" in text

    again = slm("push", artifact.path, "-d", phone.serial, "--json")
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert [pushed["sent"] for pushed in json.loads(out)] == [[]]


@pytest.fixture
def empty_server(
    adb_server: AdbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AdbServer]:
    """An adb server that knows no phone yet."""
    server = AdbServer(adb_server.client, tmp_path)
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    server.start()
    yield server
    server.kill()


def test_the_only_phone_is_the_default(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings, empty_server: AdbServer
) -> None:
    bring_online(phone, empty_server.client)
    process = slm("profile", artifact.path, *SMALL_FLAGS)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert [summary.device.serial for summary in stored(settings)] == [phone.serial]


def test_a_phone_that_dies_in_the_middle_is_device_lost(
    slm: SlmProcess, doomed_phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", artifact.path, "-d", doomed_phone.serial, *ENDLESS_FLAGS)
    run_id = started_run_id(doomed_phone)
    doomed_phone.die()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 8, err
    assert doomed_phone.serial in err and "next:" in err
    [summary] = stored(settings)
    assert (summary.run.id, summary.run.status) == (run_id, "device_lost")
    assert summary.run.decode_tokens_per_second is None
    with open_store(settings.store_url) as store:
        assert store.get_run(run_id).repetitions == ()


def test_one_device_that_fails_does_not_touch_the_others(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", artifact.path, "-d", "127.0.0.1:1", "-d", phone.serial, *SMALL_FLAGS)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 8
    assert "device 127.0.0.1:1: No such device" in err
    assert [(row.device.serial, row.run.status) for row in stored(settings)] == [(phone.serial, "ok")]


def test_a_runner_killed_on_the_phone_is_reported_as_out_of_memory(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", artifact.path, "-d", phone.serial, *ENDLESS_FLAGS)
    run_id = started_run_id(phone)
    kill_runner(run_id)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 9
    assert "signal 9" in err and "low-memory killer" in err
    [summary] = stored(settings)
    assert (summary.run.id, summary.run.status, summary.run.exit_code) == (run_id, "oom_killed", 137)
    assert run_folders(phone) == []


def test_a_frozen_phone_is_given_up_in_bounded_time(
    slm: SlmProcess, doomed_phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", artifact.path, "-d", doomed_phone.serial, *ENDLESS_FLAGS, "--timeout", "8")
    run_id = started_run_id(doomed_phone)
    doomed_phone.freeze()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 8, err
    assert [(row.run.id, row.run.status) for row in stored(settings)] == [(run_id, "device_lost")]


def test_a_full_phone_is_refused_before_anything_is_pushed(
    slm: SlmProcess, adb_server: AdbServer, phones_home: Settings, artifact: Artifact, settings: Settings
) -> None:
    spec = PhoneSpec("full", model="Virtual Full", faults=Faults(space_bytes=30_000_000))
    with running_phone(adb_server.client, phones_home, spec) as full_phone:
        process = slm("profile", artifact.path, "-d", full_phone.serial, *SMALL_FLAGS)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 8
    assert "MB are free" in err and full_phone.serial in err
    assert stored(settings) == [] and not (settings.data_dir / "raw").exists()


def test_a_cut_link_does_not_end_the_run_and_pull_finishes_it(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings, adb_server: AdbServer
) -> None:
    enough = [*SMALL_FLAGS, "--repetitions", "4000"]
    process = slm("profile", artifact.path, "-d", phone.serial, *enough)
    run_id = started_run_id(phone)
    with held_runner(run_id):
        adb_server.kill()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 8, err
    assert [summary.run.status for summary in stored(settings)] == ["device_lost"]

    wait_for(lambda: not runner_pids(run_id))
    adb_server.start()
    bring_online(phone, adb_server.client)
    pulling = slm("pull", "-d", phone.serial, "--json")
    out, err = pulling.communicate(timeout=60)
    assert pulling.returncode == 0, err
    assert [(left["run_id"], left["action"], left["status"]) for left in json.loads(out)] == [
        (run_id, "stored", "ok")
    ]
    [summary] = stored(settings)
    assert summary.run.status == "ok" and summary.run.greedy_matched == 12
    assert run_folders(phone) == []


def test_a_host_that_dies_leaves_a_run_that_pull_stores_once(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS, "--repetitions", "1000")
    run_id = started_run_id(phone)
    process.kill()
    process.communicate()
    actions = []
    for attempt in range(3):
        pulling = slm("pull", "-d", phone.serial, "--json")
        out, err = pulling.communicate(timeout=60)
        assert pulling.returncode == 0, err
        actions += [left["action"] for left in json.loads(out)]
        if attempt == 0 and actions == ["running"]:
            assert stored(settings) == []
            actions.clear()
        wait_for(lambda: not runner_pids(run_id))
    assert actions == ["stored"]
    assert [(summary.run.id, summary.run.status) for summary in stored(settings)] == [(run_id, "ok")]
    assert [folder.name for folder in (settings.data_dir / "raw").iterdir()] == [run_id]
