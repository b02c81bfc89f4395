"""Runs by hand: what the app shares of them is what `slm results import` takes."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from contract import Core
from tiny_artifact import make_artifact
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact
from toolkit.errors import ImportInvalid
from toolkit.profiling.session.shared_run import is_shared_run, read_shared_run
from toolkit.store import open_store
from toolkit.store.rows import StoredRun

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifacts")
    make_artifact(folder / "tiny", TinyDecoder(context_length=512))
    return folder


@pytest.fixture(scope="module")
def shared(core: Core, ort_library: Path, artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_LIBRARY_PATH", str(ort_library))
        # Warm when it is asked for, then as a phone that says nothing.
        done = core(
            "byhand", artifacts, runs, "thermal_status=2", "thermal_headroom=0.9", "", library=ort_library
        )
    assert done.returncode == 0, done.stderr.decode()
    file = Path(done.stdout.decode().strip())
    # It was left behind another app when it had ended.
    assert (file.parent / "exit").read_text().strip() == "0 ok"
    return file


def test_what_android_does_not_know_is_no_number(shared: Path) -> None:
    samples = [json.loads(line) for line in (shared.parent / "app.jsonl").read_text().splitlines()]
    unknown = ("battery_percent", "thermal_headroom", "pss_bytes")
    assert samples and all(sample[name] is None for sample in samples for name in unknown)
    assert all((sample["importance"], sample["charging"]) == (100, False) for sample in samples)


def by_hand(core: Core, artifacts: Path, runs: Path, *said: str) -> tuple[str, list[dict[str, Any]], str]:
    """Ending, samples and standard error of a run on a phone that says this and does not come to measure."""
    done = core("byhand", artifacts, runs, *said)
    assert done.returncode == 0, done.stderr.decode()
    folder = Path(done.stdout.decode().strip())
    samples = [json.loads(line) for line in (folder / "app.jsonl").read_text().splitlines()]
    assert not (folder / "result.jsonl").exists()
    return (folder / "exit").read_text().strip(), samples, (folder / "stderr").read_text()


@pytest.mark.parametrize(
    ("said", "word", "lasting"),
    [
        ("thermal_status=1", "hot", False),
        ("thermal_headroom=0.86", "hot", False),
        ("battery_percent=19 charging=true", "low_battery", False),
        ("battery_percent=19 charging=false", "low_battery", True),
        ("power_save=true battery_percent=90", "power_save", True),
    ],
)
def test_a_run_by_hand_waits_for_a_phone_that_is_fit_for_it(
    core: Core, artifacts: Path, tmp_path: Path, said: str, word: str, lasting: bool
) -> None:
    ending, samples, error = by_hand(core, artifacts, tmp_path, said)
    assert ending == f"14 {word}" and f"not ready: {word}" in error
    assert [sample["moment"] for sample in samples] == ["before", "gate"]
    gate = samples[1]
    assert (gate["first"], gate["unmet"]) == ([word], [word])
    # The limit is 400 ms here; what lasts is not waited for.
    assert gate["waited_ms"] == 0 if lasting else 400 <= gate["waited_ms"] < 5000


def test_a_phone_that_becomes_fit_is_measured_and_what_it_waited_for_is_kept(shared: Path) -> None:
    samples = [json.loads(line) for line in (shared.parent / "app.jsonl").read_text().splitlines()]
    moments = [sample["moment"] for sample in samples]
    assert moments == ["before", "gate", "start", *["repetition"] * 4, "memory", "after"]
    gate = samples[1]
    assert (gate["first"], gate["unmet"]) == (["hot"], []) and 0 < gate["waited_ms"] < 400


def test_a_shared_run_is_imported_with_its_figures_and_conditions(
    shared: Path, artifacts: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'results.db'}"
    command = [sys.executable, "-m", "toolkit.cli.main", "results", "import", str(shared)]
    environment = {"SLM_STORE_URL": url, "SLM_DATA_DIR": str(tmp_path), "PATH": "/usr/bin"}
    kept = tmp_path / "raw" / shared.parent.name
    for expected in ("1 runs added", "0 runs added, 1 known"):
        # As if there had been no room for them the first time.
        shutil.rmtree(kept, ignore_errors=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0 and expected in done.stderr, done.stderr
    for name in ("app.jsonl", "result.jsonl"):
        assert (kept / name).read_text() == (shared.parent / name).read_text()
    manifest = Artifact.load(artifacts / "tiny").manifest
    with open_store(url) as store:
        [summary] = store.list_runs()
        stored = store.get_run(summary.run.id)
    run = stored.run
    assert run.status == "ok" and run.settings == {"runner": "app"}
    assert (run.prompt_tokens, run.generate_tokens, len(stored.repetitions)) == (128, 32, 4)
    assert run.decode_tokens_per_second is not None and run.decode_tokens_per_second > 0
    reference = manifest.greedy_reference
    assert reference is not None and run.greedy_matched == run.greedy_total == len(reference.token_ids)
    assert stored.artifact.sha256 == manifest.sha256
    assert (stored.device.model, stored.device.emulated) == ("Phone", True)


def test_a_run_that_cannot_begin_leaves_nothing_and_says_why(
    core: Core, artifacts: Path, tmp_path: Path
) -> None:
    def prepared(runs: Path) -> dict[str, str]:
        done = core("prepare", artifacts, runs)
        assert done.returncode == 0, done.stderr.decode()
        answer: dict[str, str] = json.loads(done.stdout)
        return answer

    runs = tmp_path / "runs"
    begun, waiting = prepared(runs)["run"], prepared(runs)["run"]
    answers = [json.loads(line) for line in core("starts", runs, begun, waiting).stdout.splitlines()]
    assert answers == [{"begun": begun}, {"refused": f"run {begun} is in this process"}]
    # What runs, or has run, stays; and no path out of the folder is taken for a run.
    assert core("withdraw", runs, begun, waiting, "../runs").returncode == 0
    assert [one.name for one in runs.iterdir()] == [begun]

    # A full disk, as far as a process can be told so.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        refused = prepared(runs)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in refused["refused"]
    assert [one.name for one in runs.iterdir()] == [begun]


def test_readings_of_the_app_are_conditions_and_show_throttling(shared: Path, tmp_path: Path) -> None:
    def taken_in(text: str) -> StoredRun:
        file = tmp_path / "shared.jsonl"
        file.write_text(text)
        [incoming] = read_shared_run(file)
        return incoming.stored

    lines = shared.read_text().splitlines(keepends=True)
    # As apps of before share them.
    bare = taken_in("".join(line for line in lines if '"record":"app"' not in line))
    assert bare.conditions == () and bare.run.status == "ok"
    unknown = taken_in("".join(lines))
    assert [(one.moment, one.repetition) for one in unknown.conditions] == [
        ("before", None),
        *((moment, index) for index in range(4) for moment in ("before", "after")),
        ("after", None),
    ]
    # What Android did not say is no sign of anything.
    assert unknown.run.status == "ok" and unknown.run.throttled_repetitions is None
    assert {one.battery_percent for one in unknown.conditions} == {None}

    said = iter((0, 0, 0, 0, 1, 2, 2, 2, 2))
    hot = []
    for line in lines:
        sample = json.loads(line)
        if sample.get("record") == "app":
            line = json.dumps(sample | {"thermal_status": next(said), "battery_percent": 70}) + "\n"
        hot.append(line)
    throttled = taken_in("".join(hot))
    assert throttled.run.status == "throttled" and throttled.run.decode_tokens_per_second is None
    # The warm-up was cool; the first that counts made it warm.
    assert [one.throttled for one in throttled.repetitions] == [False, True, True, True]
    assert {one.battery_percent for one in throttled.conditions} == {70}


def imported(core: Core, folder: Path, into: Path) -> dict[str, str]:
    done = core("import", folder, into)
    assert done.returncode == 0, done.stderr.decode()
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def test_a_picked_folder_is_imported_whole_or_not_at_all(core: Core, artifacts: Path, tmp_path: Path) -> None:
    source, into = tmp_path / "picked", tmp_path / "into"
    shutil.copytree(artifacts / "tiny", source)
    artifact = Artifact.load(source)
    answer = imported(core, source, into)
    assert answer == {"name": artifact.name, "folder": artifact.manifest.sha256[:16]}
    for entry in artifact.manifest.files:
        assert (into / answer["folder"] / entry.path).read_bytes() == (source / entry.path).read_bytes()
    assert Artifact.load(into / answer["folder"]).manifest == artifact.manifest

    whole = (source / "manifest.json").read_text()
    path = artifact.manifest.files[0].path
    broken = {
        whole.replace(f'"{path}"', '"../escape"'): "no name of a file",
        whole.replace(f'"{path}"', '"absent"'): "absent is missing",
        whole.replace(artifact.manifest.files[0].sha256, "0" * 64): "is not what the manifest says",
        whole.replace('"onnxruntime"', '"other"'): "no engine",
        "{}": "names no files",
        whole[:50]: "manifest.json",
    }
    for number, (text, said) in enumerate(broken.items()):
        (source / "manifest.json").write_text(text)
        assert said in imported(core, source, tmp_path / str(number))["refused"]
        assert list((tmp_path / str(number)).glob("*")) == []
    (source / "manifest.json").unlink()
    assert "it has no manifest.json" in imported(core, source, into)["refused"]


def test_a_copied_artifact_is_adopted_whole_or_not_at_all(
    core: Core, artifacts: Path, tmp_path: Path
) -> None:
    artifact = Artifact.load(artifacts / "tiny")
    id = artifact.manifest.sha256[:16]

    def content(verb: str, *words: str) -> str:
        return core("emulated", "content", tmp_path, "0.1.0", verb, *words).stdout.decode()

    def adopt(name: str) -> str:
        return content("call", "--method", "adopt", "--arg", name)

    partial = tmp_path / "artifacts" / f".{id}.part"
    path = artifact.manifest.files[0].path
    assert "artifact=absent}" in adopt(id)
    for said, damage in {
        f"{path} is missing": lambda: (partial / path).unlink(),
        f"{path} is not what the manifest says": lambda: (partial / path).write_bytes(b"half"),
        "it has no manifest.json": lambda: (partial / "manifest.json").unlink(),
    }.items():
        shutil.copytree(artifacts / "tiny", partial)
        damage()
        assert said in adopt(id) and list((tmp_path / "artifacts").iterdir()) == []
    # Another artifact under this name.
    shutil.copytree(artifacts / "tiny", tmp_path / "artifacts" / f".{'0' * 16}.part")
    assert f"it is artifact {id}" in adopt("0" * 16)
    assert "artifact=whole}" in adopt(id)
    content("delete", "--uri", f"content://slm.toolkit.app.runs/artifacts/{id}")
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_what_is_not_whole_is_not_imported(shared: Path, tmp_path: Path) -> None:
    whole = shared.read_text()
    head, rest = whole.split("\n", 1)
    result = "".join(line for line in whole.splitlines(keepends=True) if '"record":"app"' not in line)
    file = tmp_path / "shared.jsonl"
    broken = {
        head: "no start record",
        result[:-30]: "not JSON",
        result.rsplit("\n", 2)[0] + "\n": "cut short",
        whole[:-30]: "Invalid JSON",
        whole.rsplit("\n", 2)[0] + "\n": "the app's samples are cut short",
        whole.replace('"thermal_status":null', '"thermal_status":9'): "thermal_status",
        head.replace('"version"', '"versions"') + "\n" + rest: "app.version",
        head + "\n" + rest.replace('"repetition"', '"repetitions"', 1): "line",
        json.dumps({**json.loads(head), "run_id": "f" * 16}) + "\n" + rest: "belongs to run",
    }
    for text, said in broken.items():
        file.write_text(text)
        assert is_shared_run(file)
        with pytest.raises(ImportInvalid, match=said):
            list(read_shared_run(file))
