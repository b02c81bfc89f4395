"""Whole sessions that break: a true row or none, and the same command succeeds afterwards."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest
from private_adb import AdbServer
from runs import ENDLESS_FLAGS, SMALL_FLAGS, held_runner, runner_pids, wait_for
from slm_process import SlmProcess
from virtual_phones import running_phone

from toolkit.artifact import Artifact
from toolkit.devices.discovery import open_device
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import DeviceUnreadable
from toolkit.profiling.session.pull import pull_left_runs
from toolkit.profiling.session.session import Session
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.rows import StoredRun

WORKDIR = "data/local/tmp/slm-toolkit"


def stored(settings: Settings) -> list[StoredRun]:
    with open_store(settings.store_url) as store:
        return [store.get_run(summary.run.id) for summary in store.list_runs()]


def running_id(phone: VirtualPhone) -> str:
    """The id of the run that goes on."""
    runs = phone.root / WORKDIR / "runs"
    return wait_for(
        lambda: next((pid.parent.name for pid in runs.glob("*/pid") if runner_pids(pid.parent.name)), None),
        timeout_s=150,
    )


def assert_whole(runs: list[StoredRun]) -> None:
    """Every row is a whole good run, or a failed one without any figure."""
    for run in runs:
        if run.run.status == "ok":
            assert len(run.repetitions) == 3 and run.run.decode_tokens_per_second
        else:
            assert run.repetitions == () and run.run.decode_tokens_per_second is None


def assert_succeeds(slm: SlmProcess, artifact: Artifact, serial: str) -> None:
    process = slm("profile", artifact.path, "-d", serial, *SMALL_FLAGS)
    _, err = process.communicate(timeout=150)
    assert process.returncode == 0, err


def test_a_phone_that_died_in_a_run_and_came_back_is_pulled_and_profiled_again(
    slm: SlmProcess,
    doomed_phone: VirtualPhone,
    artifact: Artifact,
    settings: Settings,
    phones_home: Settings,
    adb_server: AdbServer,
) -> None:
    process = slm("profile", artifact.path, "-d", doomed_phone.serial, *ENDLESS_FLAGS)
    run_id = running_id(doomed_phone)
    doomed_phone.die()
    process.communicate(timeout=60)
    port = int(doomed_phone.serial.rpartition(":")[2])
    again = start_phone(PhoneSpec(doomed_phone.name, model="Virtual Doomed", port=port), phones_home)
    bring_online(again, adb_server.client)
    pull = slm("pull", "-d", again.serial)
    _, err = pull.communicate(timeout=60)
    assert pull.returncode == 0, err
    assert [(run.run.id, run.run.status) for run in stored(settings)] == [(run_id, "device_lost")]
    assert list((again.root / WORKDIR / "runs").iterdir()) == []
    assert_succeeds(slm, artifact, again.serial)


def test_a_phone_that_froze_in_a_run_and_came_back_loses_nothing(
    slm: SlmProcess, doomed_phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    flags = [*SMALL_FLAGS, "--repetitions", "300"]
    process = slm("profile", artifact.path, "-d", doomed_phone.serial, *flags, "--timeout", "5")
    run_id = running_id(doomed_phone)
    doomed_phone.freeze()
    _, err = process.communicate(timeout=90)
    assert process.returncode == 8 and doomed_phone.serial in err and "next:" in err
    doomed_phone.thaw()
    wait_for(lambda: not runner_pids(run_id))
    pull = slm("pull", "-d", doomed_phone.serial)
    _, err = pull.communicate(timeout=60)
    assert pull.returncode == 0, err
    [run] = stored(settings)
    assert run.run.id == run_id and run.run.status in ("ok", "oom_killed", "device_lost")
    assert (len(run.repetitions) == 301) == (run.run.status == "ok")
    assert_succeeds(slm, artifact, doomed_phone.serial)


def test_a_phone_that_fills_up_in_a_run_brings_no_figures(
    slm: SlmProcess, adb_server: AdbServer, phones_home: Settings, artifact: Artifact, settings: Settings
) -> None:
    spec = PhoneSpec("filling", model="Virtual Filling", faults=Faults(space_bytes=150 << 20))
    with running_phone(adb_server.client, phones_home, spec) as phone:
        process = slm("profile", artifact.path, "-d", phone.serial, *ENDLESS_FLAGS, "--timeout", "60")
        device = open_device(phone.serial, settings)
        find = f"ls /{WORKDIR}/runs/*/pid 2>/dev/null"
        wait_for(lambda: device.shell(["sh", "-c", find], timeout_s=10).stdout, timeout_s=150)
        device.shell(["sh", "-c", "cat /dev/zero >/data/filler"], timeout_s=60)
        _, err = process.communicate(timeout=90)
        assert process.returncode in (8, 9), err
        assert phone.serial in err and "next:" in err
        [run] = stored(settings)
        assert run.run.status != "ok" and run.repetitions == ()
        device.shell(["rm", "/data/filler"], timeout_s=20)
        assert_succeeds(slm, artifact, phone.serial)


def test_a_second_host_is_refused_until_the_first_has_finished(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings, tmp_path: Path
) -> None:
    first = slm("profile", artifact.path, "-d", phone.serial, *ENDLESS_FLAGS)
    run_id = running_id(phone)
    other = {"SLM_DATA_DIR": str(tmp_path / "other"), "SLM_STORE_URL": f"sqlite:///{tmp_path / 'other.db'}"}
    second = slm("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS, **other)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 8
    assert phone.serial in err and "Another host uses this device" in err and f"process {first.pid}" in err
    first.kill()
    first.communicate()
    release = slm("devices", "release", "-d", phone.serial, **other)
    _, err = release.communicate(timeout=60)
    assert release.returncode == 0, err
    second = slm("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS, "--timeout", "3", **other)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 8, "two measurements at a time disturb each other"
    assert f"Run {run_id} of an earlier command still goes on" in err and "slm devices clean --runs" in err
    clean = slm("devices", "clean", "--runs", "-d", phone.serial, **other)
    _, err = clean.communicate(timeout=60)
    assert clean.returncode == 0 and runner_pids(run_id) == [], err
    second = slm("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS, **other)
    _, err = second.communicate(timeout=120)
    assert second.returncode == 0, err


def test_a_run_whose_host_died_is_waited_for(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    repetitions = 4000
    first = slm("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS, "--repetitions", repetitions)
    with held_runner(running_id(phone)):
        first.kill()
        first.communicate()
        second = slm("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS)
        assert second.stderr is not None
        wait_for(lambda: "waiting for run" in second.stderr.readline())
    _, err = second.communicate(timeout=120)
    assert second.returncode == 0, err
    pull = slm("pull", "-d", phone.serial)
    _, err = pull.communicate(timeout=60)
    assert pull.returncode == 0, err
    done = sorted((run.run.status, len(run.repetitions)) for run in stored(settings))
    assert done == [("ok", 3), ("ok", repetitions + 1)]


@pytest.mark.parametrize("seed", range(4))
def test_a_host_killed_at_any_moment_leaves_nothing_false(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings, seed: int
) -> None:
    process = slm("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS)
    time.sleep(random.Random(seed).uniform(0.3, 6))
    process.kill()
    process.communicate()
    if Path(settings.data_dir).exists():
        assert_whole(stored(settings))
    pull = slm("pull", "-d", phone.serial)
    _, err = pull.communicate(timeout=60)
    assert pull.returncode == 0, err
    assert_succeeds(slm, artifact, phone.serial)
    assert_whole(stored(settings))
    assert list((phone.root / WORKDIR).rglob("*.part")) == []


def test_names_that_a_shell_would_misread_are_only_names(
    slm: SlmProcess,
    adb_server: AdbServer,
    phones_home: Settings,
    artifact: Artifact,
    settings: Settings,
    tmp_path: Path,
) -> None:
    model = "O'Brien's \"X\"; $(touch /data/pwned) `id` & | *"
    folder = tmp_path / 'it\'s $(touch pwned); "a"\nmodel'
    shutil.copytree(artifact.path, folder)
    with running_phone(adb_server.client, phones_home, PhoneSpec("nasty", model=model)) as phone:
        process = slm("profile", folder, "-d", phone.serial, *SMALL_FLAGS)
        _, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
        assert not (phone.root / "data/pwned").exists() and not Path("pwned").exists()
    [run] = stored(settings)
    assert run.device.model == model


def test_what_cannot_be_looked_into_is_kept_and_is_not_nothing(
    doomed_phone: VirtualPhone, session: Session
) -> None:
    device = open_device(doomed_phone.serial, session.settings)
    runs = doomed_phone.root / WORKDIR / "runs"
    runs.mkdir(parents=True)
    (runs / "a1b2c3d4e5f6g7h8").write_text("a file system that lost its folder")
    [left] = pull_left_runs(device, session)
    assert left.action == "unreadable" and (runs / left.run_id).exists()
    shutil.rmtree(runs)
    runs.write_text("")
    with pytest.raises(DeviceUnreadable):
        pull_left_runs(device, session)
