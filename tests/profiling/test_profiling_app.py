"""`--runner app` from end to end: the app's own core and JNI library on a virtual phone."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest
from private_adb import AdbServer
from runs import ENDLESS_FLAGS, SMALL_FLAGS, wait_for
from slm_process import SlmProcess
from talking_artifact import answers, make_talking_artifact
from tiny_decoder import TinyDecoder
from virtual_phones import running_phone

from toolkit.app.emulated_app import build_emulated_app
from toolkit.artifact import Artifact
from toolkit.devices.discovery import open_device
from toolkit.devices.virtual.conditions import conditions_of, set_conditions
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import BuildFailed
from toolkit.profiling.request import parse_affinity
from toolkit.runtime.bundle import Bundle
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.rows import StoredRun

pytestmark = pytest.mark.timeout(600)

IN_APP = [*SMALL_FLAGS, "--runner", "app"]
APP = "data/app/slm.toolkit.app"


@pytest.fixture(scope="module")
def app_phone(adb_server: AdbServer, phones_home: Settings, bundle: Bundle) -> Iterator[VirtualPhone]:
    # The shell's runner is built here as well, not within the time of a test.
    assert bundle.path.is_dir()
    try:
        build_emulated_app(phones_home)
    except BuildFailed as error:
        if "does not compile" in error.what:
            raise
        pytest.skip(
            f"needs Debian's package `openjdk-17-jdk-headless` and npm's kotlin-compiler: {error.what}"
        )
    with running_phone(adb_server.client, phones_home, PhoneSpec("app", model="Virtual App")) as started:
        yield started


@pytest.fixture
def installed(app_phone: VirtualPhone, slm: SlmProcess) -> VirtualPhone:
    if not (app_phone.root / APP).is_dir():
        succeed(slm, "app", "install", "-d", app_phone.serial)
    return app_phone


def succeed(slm: SlmProcess, *words: object) -> str:
    out, err = (process := slm(*words)).communicate(timeout=240)
    assert process.returncode == 0, err
    return out


def stored(settings: Settings) -> list[StoredRun]:
    with open_store(settings.store_url) as store:
        return [store.get_run(summary.run.id) for summary in store.list_runs()]


def app_pids() -> list[int]:
    """Processes of runs in the app, as this host sees them."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if words and words[0].endswith(b"/jre/bin/java") and b"run" in words:
            found.append(int(entry.name))
    return found


def left_on(phone: VirtualPhone) -> list[str]:
    folders = [phone.root / "data/local/tmp/slm-toolkit/runs", phone.root / "data/data/slm.toolkit.app/runs"]
    return [one.name for folder in folders if folder.is_dir() for one in folder.iterdir()]


def test_an_app_that_is_missing_or_old_is_named(
    slm: SlmProcess, app_phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    assert "no app" in succeed(slm, "app", "info", "-d", app_phone.serial)
    profile = ("profile", artifact.path, "-d", app_phone.serial, *IN_APP)
    _, err = (process := slm(*profile)).communicate(timeout=120)
    assert process.returncode == 8
    assert "is not installed" in err and "next: slm app install" in err

    succeed(slm, "app", "install", "-d", app_phone.serial)
    script = app_phone.root / APP / "emulated"
    whole = script.read_text()
    script.write_text('echo "Result: Bundle[{contract=0, version=0.0.1}]"\n')
    _, err = (process := slm(*profile)).communicate(timeout=120)
    script.write_text(whole)
    assert process.returncode == 8
    assert "the app 0.0.1 speaks version 0 of the contract" in err and "next: slm app install" in err
    assert stored(settings) == [] and left_on(app_phone) == []


def test_a_run_in_the_app_is_stored_and_never_mixed_with_the_shells(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    in_app, in_shell = (
        json.loads(succeed(slm, "profile", artifact.path, "-d", installed.serial, *flags, "--json"))[0]
        for flags in (IN_APP, SMALL_FLAGS)
    )
    assert in_app["run"]["greedy_matched"] == in_shell["run"]["greedy_matched"] == 12
    assert in_app["run"]["settings"] == {"runner": "app"} and not in_shell["run"]["settings"]
    assert in_app["device"]["emulated"] is True
    assert [in_app["run"][name] for name in ("engine_version", "kernels", "threads")] == [
        in_shell["run"][name] for name in ("engine_version", "kernels", "threads")
    ]
    assert left_on(installed) == []

    raw = settings.data_dir / "raw" / in_app["run"]["id"]
    samples = [json.loads(line) for line in (raw / "app.jsonl").read_text().splitlines()]
    moments = [sample["moment"] for sample in samples]
    assert moments == ["before", "start", *["repetition"] * 3, "memory", "after"]
    assert 0 < samples[0]["rss_bytes"] < samples[1]["rss_bytes"]
    # Which the stand-in says as Android does, with the smallest integer.
    assert {sample["battery_percent"] for sample in samples} == {None}

    # Where it ran, and what it was allowed: a child of this process, as far as its kernel is concerned.
    for sample in samples:
        assert sample["page_bytes"] == os.sysconf("SC_PAGE_SIZE")
        assert parse_affinity(sample["cpus_allowed"]) == tuple(sorted(os.sched_getaffinity(0)))
        assert sample["cgroups"] == Path("/proc/self/cgroup").read_text().strip()

    process = slm("results", "compare", "--axis", "runner")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert {"app", "default"} <= {line.split()[0] for line in out.splitlines() if line}


def test_the_app_lists_its_engines_and_what_they_lack(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    told = json.loads(succeed(slm, "app", "info", "-d", installed.serial, "--json"))[installed.serial]
    [engine] = told["engines"]
    assert (engine["engine"], engine["problem"]) == ("onnxruntime", None)
    # The library of the virtual phone's app is the Python package's.
    assert engine["version"] == onnxruntime.__version__
    assert engine["providers"] == onnxruntime.get_available_providers()
    text = succeed(slm, "app", "info", "-d", installed.serial)
    assert "without QNNExecutionProvider (npu): it comes with onnxruntime-android-qnn" in text
    assert "without executorch" in text
    asked = ("profile", artifact.path, "-d", installed.serial, *IN_APP, "--processor", "npu")
    _, err = (process := slm(*asked)).communicate(timeout=120)
    assert process.returncode == 2 and "QNNExecutionProvider" in err
    assert "onnxruntime-android-qnn" in err.partition("next:")[2]
    assert stored(settings) == []


def test_doctor_knows_the_app(slm: SlmProcess, installed: VirtualPhone, artifact: Artifact) -> None:
    def found() -> dict[str, tuple[str, str]]:
        out, _ = slm("doctor", "-d", installed.serial, "--json").communicate(timeout=120)
        lines = [line for line in json.loads(out) if line["check"].startswith("app")]
        return {line["check"]: (line["level"], line["found"]) for line in lines}

    succeed(slm, "push", artifact.path, "-d", installed.serial)
    assert found() == {"app": ("ok", "0.1.0"), "app reads": ("ok", "what slm push puts there")}
    # A phone that keeps adb's files from apps.
    script = installed.root / APP / "emulated"
    whole = script.read_text()
    script.write_text('[ "$4" = probe ] || [ "$6" != probe ] || { echo "{readable=false}"; exit; }\n' + whole)
    kept = found()
    script.write_text('echo "Result: Bundle[{contract=0, version=0.0.1}]"\n')
    old = found()
    script.write_text(whole)
    assert kept["app reads"][0] == "warn" and "keeps adb's files from apps" in kept["app reads"][1]
    assert old["app"][0] == "warn" and "version 0 of the contract" in old["app"][1]


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


def test_a_phone_that_keeps_adbs_files_from_apps_copies_them_into_the_app(
    slm: SlmProcess, installed: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    data, script = installed.root / "data/data/slm.toolkit.app", installed.root / APP / "emulated"
    whole = script.read_text()
    seen = '[ "$1" != start ] || cp "/data/data/slm.toolkit.app/runs/$2/arguments" /data/seen'
    script.write_text(whole.replace('case "$1" in', f'{seen}\ncase "$1" in', 1))
    (data / "keeps_adb_files").touch()
    copy = data / "artifacts" / artifact.manifest.sha256[:16]
    # What a stream that was cut has left: all names, one of them half.
    partial = copy.with_name(f".{copy.name}.part")
    shutil.copytree(artifact.path, partial)
    os.truncate(partial / artifact.manifest.files[0].path, 10)
    # The screen is lit by the run, so that the strict gate cannot ask for a dark one.
    set_conditions(installed, screen_on=True)
    gated = ["--gate", "strict", "--max-cpu-busy", "1", "--max-celsius", "99", "--runner", "app"]
    inodes: list[int] = []
    for flags in (IN_APP, [*SMALL_FLAGS[: SMALL_FLAGS.index("--gate")], *gated]):
        process = slm("profile", artifact.path, "-d", installed.serial, *flags, "--json")
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        assert ("gets a copy of its own" in err) == (not inodes)
        run = json.loads(out)[0]["run"]
        assert (run["status"], run["greedy_matched"]) == ("ok", 12)
        assert b"/data/local/tmp" not in (installed.root / "data/seen").read_bytes()
        inodes.append((copy / "manifest.json").stat().st_ino)
    assert inodes[0] == inodes[1] and not partial.exists() and left_on(installed) == []
    for entry in artifact.manifest.files:
        assert (copy / entry.path).read_bytes() == (artifact.path / entry.path).read_bytes()
    set_conditions(installed, screen_on=False)
    lit = {(c.screen_on, c.repetition is None) for one in stored(settings) for c in one.conditions}
    assert (True, False) in lit and (False, False) not in lit
    raw = [(settings.data_dir / "raw" / one.run.id / "stdout").read_text() for one in stored(settings)]
    assert sum(text.count('"gate":"opened"') for text in raw) == 3
    (data / "keeps_adb_files").unlink()
    script.write_text(whole)


def test_tokens_come_from_the_app(slm: SlmProcess, installed: VirtualPhone, artifact: Artifact) -> None:
    words = ("generate", artifact.path, "--prompt", "w5 w17 w211", "--no-chat", "--max-tokens", "8")
    in_app, in_shell = (
        succeed(slm, *words, "-d", installed.serial, *more) for more in (("--runner", "app"), ())
    )
    assert in_app == in_shell and in_app.strip()


def test_a_conversation_is_held_in_the_app(
    slm: SlmProcess, installed: VirtualPhone, decoder: TinyDecoder, artifact: Artifact, tmp_path: Path
) -> None:
    talking = make_talking_artifact(tmp_path / "talking", decoder)
    said = ["Hi @run/ 'x' $(id)", "日本 🙂"]
    words = ("app", "chat", talking.path, "-d", installed.serial, "-n", "6", "-p", said[0], "-p", said[1])
    got = json.loads(succeed(slm, *words, "--json"))
    expected = answers(decoder, said, 6)
    assert [one["text"] for one in got] == [text for _, _, text in expected]
    assert got[1]["kept"] >= len(expected[0][0]) == got[0]["prompt_tokens"]
    assert left_on(installed) == []
    # The same on a phone that keeps adb's files from apps.
    keeps = installed.root / "data/data/slm.toolkit.app/keeps_adb_files"
    keeps.touch()
    try:
        copied = succeed(slm, *words, "--json")
        prompt = ("generate", talking.path, "-d", installed.serial, "-p", said[1], "--max-tokens", "6")
        generated = succeed(slm, *prompt, "--runner", "app", "--json")
    finally:
        keeps.unlink()
    assert json.loads(copied) == got
    assert json.loads(generated)["text"] == answers(decoder, said[1:], 6)[0][2]
    assert (installed.root / "data/data/slm.toolkit.app/artifacts" / talking.manifest.sha256[:16]).is_dir()

    process = slm("app", "chat", artifact.path, "-d", installed.serial, "-p", "Hi")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 2 and "Convert the model again" in err
