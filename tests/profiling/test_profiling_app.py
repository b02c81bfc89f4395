"""`--runner app` from end to end: the app's own core and JNI library on a virtual phone."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import onnxruntime
import pytest
from app_runs import APP, IN_APP, left_on, stored, succeed
from runs import SMALL_FLAGS
from slm_process import SlmProcess
from talking_artifact import answers, make_talking_artifact
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact
from toolkit.devices.virtual.conditions import set_conditions
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.profiling.request import parse_affinity
from toolkit.settings import Settings

pytestmark = pytest.mark.timeout(600)


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
