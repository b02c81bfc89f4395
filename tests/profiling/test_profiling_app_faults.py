"""Runs in the app that are disturbed, killed, frozen or cut off end in time, and bring no wrong figures."""

from __future__ import annotations

import json
import os
import shutil
import signal

import pytest
from app_runs import APP, IN_APP, app_pids, left_on, stored, succeed
from private_adb import AdbServer
from runs import ENDLESS_FLAGS, SMALL_FLAGS, wait_for
from slm_process import SlmProcess
from virtual_phones import running_phone

from toolkit.artifact import Artifact
from toolkit.devices.discovery import open_device
from toolkit.devices.virtual.conditions import conditions_of, set_conditions
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings

pytestmark = pytest.mark.timeout(600)


def test_an_app_that_freezes_is_ended_in_time(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    limited = [*ENDLESS_FLAGS, "--runner", "app", "--timeout", "6"]
    process = slm("profile", artifact.path, "-d", installed.serial, *limited)
    wait_for(app_pids, timeout_s=120)
    for pid in app_pids():
        os.kill(pid, signal.SIGSTOP)
    process.communicate(timeout=120)
    assert process.returncode != 0
    [run] = stored(settings)
    assert run.run.status == "timeout"
    wait_for(lambda: not app_pids())
    assert left_on(installed) == []


def test_an_app_killed_for_memory_brings_no_figures(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", artifact.path, "-d", installed.serial, *ENDLESS_FLAGS, "--runner", "app")
    runs = installed.root / "data/data/slm.toolkit.app/runs"
    wait_for(lambda: list(runs.glob("*/stdout")), timeout_s=120)
    for pid in app_pids():
        os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 9 and "killed by signal 9" in err
    [run] = stored(settings)
    assert (run.run.status, run.run.decode_tokens_per_second) == ("oom_killed", None)
    assert left_on(installed) == []


def test_a_run_ends_when_another_app_comes_in_front_and_a_service_does_not(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    runs = installed.root / "data/data/slm.toolkit.app/runs"
    device = open_device(installed.serial, settings)
    home = ["am", "start", "-a", "android.intent.action.MAIN", "-c", "android.intent.category.HOME"]

    process = slm("profile", artifact.path, "-d", installed.serial, *ENDLESS_FLAGS, "--runner", "app")
    wait_for(lambda: list(runs.glob("*/stdout")), timeout_s=120)
    device.shell(home, timeout_s=30)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 9 and "was not in the foreground" in err and "--app-state service" in err
    [run] = stored(settings)
    assert (run.run.status, run.run.exit_code) == ("left_foreground", 12)
    assert run.run.decode_tokens_per_second is None and left_on(installed) == []

    in_service = [*IN_APP, "--app-state", "service", "--repetitions", "40"]
    process = slm("profile", artifact.path, "-d", installed.serial, *in_service, "--json")
    wait_for(lambda: list(runs.glob("*/stdout")), timeout_s=120)
    device.shell(home, timeout_s=30)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    [shown] = json.loads(out)
    assert shown["run"]["settings"] == {"runner": "app", "app_state": "service"}
    raw = settings.data_dir / "raw" / shown["run"]["id"] / "app.jsonl"
    assert {json.loads(line)["app_state"] for line in raw.read_text().splitlines()} == {"service"}


def test_a_dark_phone_is_woken_and_a_locked_one_named(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    device = open_device(installed.serial, settings)

    def power() -> str:
        return device.shell(["dumpsys", "power"], timeout_s=30).stdout

    profile = ("profile", artifact.path, "-d", installed.serial)
    set_conditions(installed, screen_on=False, lock="swipe")
    watching = ["--gate", "watch", *SMALL_FLAGS[: SMALL_FLAGS.index("--gate")], "--runner", "app"]
    succeed(slm, *profile, *watching)
    [run] = stored(settings)
    # Dark before, lit while it ran, dark again.
    lit = [(one.moment, one.repetition is None, one.screen_on) for one in run.conditions]
    assert lit[0] == ("before", True, False) and lit[-1] == ("after", True, False)
    assert {screen_on for _, of_run, screen_on in lit if not of_run} == {True}
    assert "mWakefulness=Asleep" in power() and not conditions_of(installed).screen_on

    def refused(why: str) -> None:
        process = slm(*profile, *IN_APP)
        _, err = process.communicate(timeout=120)
        assert process.returncode == 9 and why in err and "Unlock the phone" in err
        assert [one.run.status for one in stored(settings) if one.run.id != run.run.id][
            -1
        ] == "left_foreground"
        assert left_on(installed) == [] and not app_pids() and "mWakefulness=Asleep" in power()

    set_conditions(installed, lock="pin")
    refused("the screen is locked")
    # One that does not answer its keys.
    set_conditions(installed, lock="swipe")
    keys = installed.root / "system/bin/input"
    whole = keys.read_text()
    keys.write_text("#!/system/bin/sh\n")
    refused("the screen is off")
    keys.write_text(whole)


def test_an_activity_behind_a_dark_screen_ends_by_itself(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    # A phone that does not say whether it is dark: the app finds out.
    set_conditions(installed, screen_on=False, lock="pin")
    for service in ("power", "activity"):
        installed.set_service(service, "")
    process = slm("profile", artifact.path, "-d", installed.serial, *ENDLESS_FLAGS, "--runner", "app")
    _, err = process.communicate(timeout=120)
    set_conditions(installed, lock="swipe")
    assert process.returncode == 9 and "was not in the foreground" in err and "Unlock the phone" in err
    [run] = stored(settings)
    assert (run.run.status, run.run.exit_code) == ("left_foreground", 12) and left_on(installed) == []


def test_nothing_disturbs_a_run_and_ctrl_c_ends_it(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    programs = {
        one: one.read_text() for one in (installed.root / "system/bin" / name for name in ("am", "content"))
    }
    for program, whole in programs.items():
        asked = whole.replace("#!/system/bin/sh", '#!/system/bin/sh\necho "$0 $*" >>/data/said', 1)
        program.write_text(
            asked.replace('exec sh "$app/emulated"', 'sh "$app/emulated"').replace(
                'content "$verb" "$@"', 'content "$verb" "$@" | tee -a /data/said'
            )
        )
    process = slm("profile", artifact.path, "-d", installed.serial, *ENDLESS_FLAGS, "--runner", "app")
    runs = installed.root / "data/data/slm.toolkit.app/runs"
    [said] = wait_for(lambda: [file for file in runs.glob("*/stdout") if file.stat().st_size], timeout_s=120)
    pids, run = app_pids(), said.parent
    # Android makes the activity anew with the intent that it has; another one is for another run.
    other = runs / ("f" * 16)
    other.mkdir()
    shutil.copy(run / "arguments", other)
    activity = ["am", "start", "-W", "-n", "slm.toolkit.app/slm.toolkit.app.RunActivity", "--es", "run_id"]
    device = open_device(installed.serial, settings)
    for name in (run.name, other.name):
        assert "Status: ok" in device.shell([*activity, name], timeout_s=60).stdout
    size = said.stat().st_size
    wait_for(lambda: said.stat().st_size > size)
    assert app_pids() == pids and said.read_text().count('"record":"start"') == 1
    assert [file.name for file in other.iterdir()] == ["arguments"]
    shutil.rmtree(other)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 130
    wait_for(lambda: not app_pids())
    assert stored(settings) == [] and left_on(installed) == []
    # It ended itself when it was asked to: a force-stop would have ended a conversation in the app as well.
    assert "state=143 runner" in (log := installed.root / "data/said").read_text()
    assert "force-stop" not in log.read_text()
    for program, whole in programs.items():
        program.write_text(whole)


def test_a_run_in_the_app_outlives_its_host(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", artifact.path, "-d", installed.serial, *IN_APP, "--repetitions", "300")
    wait_for(app_pids, timeout_s=120)
    process.kill()
    process.communicate(timeout=60)
    wait_for(lambda: not app_pids(), timeout_s=120)
    runs = installed.root / "data/local/tmp/slm-toolkit/runs"
    wait_for(lambda: list(runs.glob("*/exit")), timeout_s=60)
    succeed(slm, "pull", "-d", installed.serial)
    [run] = stored(settings)
    assert run.run.status == "ok" and len(run.repetitions) == 301


def test_a_cut_link_does_not_end_a_run_in_the_app(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings, adb_server: AdbServer
) -> None:
    process = slm("profile", artifact.path, "-d", installed.serial, *IN_APP, "--repetitions", "300")
    runs = installed.root / "data/data/slm.toolkit.app/runs"
    wait_for(lambda: list(runs.glob("*/stdout")), timeout_s=120)
    pids = app_pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    adb_server.client.disconnect(installed.serial)
    process.communicate(timeout=120)
    assert process.returncode == 8 and [one.run.status for one in stored(settings)] == ["device_lost"]
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    bring_online(installed, adb_server.client)
    wait_for(lambda: list((installed.root / "data/local/tmp/slm-toolkit/runs").glob("*/exit")), timeout_s=120)
    succeed(slm, "pull", "-d", installed.serial)
    [run] = stored(settings)
    assert run.run.status == "ok" and len(run.repetitions) == 301 and left_on(installed) == []


def test_an_app_without_room_for_a_run_says_so(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    script = installed.root / APP / "emulated"
    whole = script.read_text()
    full = 'ln -s /dev/full "/data/data/slm.toolkit.app/runs/$2/stdout"'
    script.write_text(whole.replace('case "$1" in', f'[ "$1" != start ] || {full}\ncase "$1" in', 1))
    process = slm("profile", artifact.path, "-d", installed.serial, *IN_APP)
    _, err = process.communicate(timeout=120)
    script.write_text(whole)
    assert process.returncode == 9 and "could not write its output (exit code 8)" in err
    [run] = stored(settings)
    assert (run.run.status, run.run.exit_code, run.repetitions) == ("error", 8, ())
    assert left_on(installed) == []


@pytest.mark.soak
def test_a_phone_that_fills_up_in_a_run_in_the_app_brings_no_figures(
    slm: SlmProcess,
    app_phone: VirtualPhone,
    adb_server: AdbServer,
    phones_home: Settings,
    artifact: Artifact,
    settings: Settings,
) -> None:
    spec = PhoneSpec("filling-app", model="Virtual Filling", faults=Faults(space_bytes=500 << 20))
    with running_phone(adb_server.client, phones_home, spec) as phone:
        succeed(slm, "app", "install", "-d", phone.serial)
        endless = [*ENDLESS_FLAGS, "--runner", "app", "--timeout", "60"]
        process = slm("profile", artifact.path, "-d", phone.serial, *endless)
        device = open_device(phone.serial, settings)
        find = ["sh", "-c", "ls /data/data/slm.toolkit.app/runs/*/stdout 2>/dev/null"]
        wait_for(lambda: device.shell(find, timeout_s=10).stdout, timeout_s=150)
        fill = ["sh", "-c", "cat /dev/zero >>/data/filler"]
        device.shell(fill, timeout_s=60)
        _, err = process.communicate(timeout=120)
        assert process.returncode in (8, 9) and "next:" in err
        [run] = stored(settings)
        assert run.run.status != "ok" and run.repetitions == ()
        # Full from the start: the run that has ended has left room.
        device.shell(fill, timeout_s=60)
        _, err = (process := slm("profile", artifact.path, "-d", phone.serial, *IN_APP)).communicate(
            timeout=120
        )
        assert process.returncode in (8, 9) and "next:" in err
        device.shell(["rm", "/data/filler"], timeout_s=20)
        succeed(slm, "profile", artifact.path, "-d", phone.serial, *IN_APP)
