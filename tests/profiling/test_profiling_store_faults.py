"""A result is never lost to the database: what cannot be stored now is pulled later."""

from __future__ import annotations

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from described_runs import as_text, description, result_records
from runs import SMALL, processes_naming

from toolkit.artifact import Artifact
from toolkit.devices.base import CommandResult
from toolkit.devices.local import LocalDevice
from toolkit.errors import DeviceLost, ResultInvalid, RunnerFailed, StoreLocked
from toolkit.profiling import remote
from toolkit.profiling.session import launch
from toolkit.profiling.session.pull import pull_left_runs
from toolkit.profiling.session.session import Session, profile
from toolkit.store import Store, open_store


def left_on_device(device: LocalDevice) -> list[str]:
    runs = Path(remote.runs_dir(device))
    return sorted(folder.name for folder in runs.iterdir()) if runs.is_dir() else []


def leave_run(device: LocalDevice, artifact: Artifact, run_id: str, *, exit_code: int | None = 0) -> Path:
    """What a run whose host died leaves on the device; a whole result unless it was killed."""
    run = description(artifact, run_id=run_id)
    folder = Path(remote.run_dir(device, run_id))
    folder.mkdir(parents=True)
    (folder / remote.DESCRIPTION).write_text(run.to_json())
    if exit_code == 0:
        (folder / remote.RESULT).write_text(as_text(result_records(run)))
    if exit_code is not None:
        (folder / "exit").write_text(f"{exit_code}\n")
    return folder


def test_a_locked_store_loses_nothing(
    local: LocalDevice, artifact: Artifact, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = session.settings.store_url.removeprefix("sqlite:///")
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with open_store(session.settings.store_url, busy_timeout_s=0.2) as impatient:
        with pytest.raises(StoreLocked):
            profile(local, artifact, SMALL, dataclasses.replace(session, store=impatient))
    [run_id] = left_on_device(local)
    assert (session.settings.data_dir / "raw" / run_id / remote.RESULT).is_file()
    blocker.execute("ROLLBACK")
    blocker.close()

    [left] = pull_left_runs(local, session)
    assert (left.run_id, left.action, left.status) == (run_id, "stored", "ok")
    assert session.store.get_run(run_id).run.greedy_matched == 12
    assert left_on_device(local) == []
    assert pull_left_runs(local, session) == []


def test_pull_stores_each_ended_run_once(local: LocalDevice, artifact: Artifact, session: Session) -> None:
    leave_run(local, artifact, "a" * 16)
    leave_run(local, artifact, "b" * 16, exit_code=137)
    leave_run(local, artifact, "c" * 16, exit_code=None)
    (Path(remote.runs_dir(local)) / ("d" * 16)).mkdir()
    (Path(remote.runs_dir(local)) / "someone's folder").mkdir()
    found = [(left.run_id[0], left.action, left.status) for left in pull_left_runs(local, session)]
    assert found == [
        ("a", "stored", "ok"),
        ("b", "stored", "oom_killed"),
        ("c", "stored", "device_lost"),
        ("d", "never_started", None),
    ]
    assert left_on_device(local) == ["someone's folder"]
    leave_run(local, artifact, "a" * 16, exit_code=4)
    assert [(left.action, left.status) for left in pull_left_runs(local, session)] == [("known", "ok")]
    assert len(session.store.list_runs()) == 3


def test_pull_keeps_what_it_cannot_read(local: LocalDevice, artifact: Artifact, session: Session) -> None:
    folder = leave_run(local, artifact, "a" * 16)
    (folder / remote.DESCRIPTION).write_text('{"schema": "slm-run/99"}')
    [left] = pull_left_runs(local, session)
    assert left.action == "unreadable" and left.detail and "run.json" in left.detail
    assert left_on_device(local) == ["a" * 16] and session.store.list_runs() == []


def test_a_result_cut_short_on_the_device_is_an_error_without_figures(
    local: LocalDevice, artifact: Artifact, session: Session
) -> None:
    folder = leave_run(local, artifact, "a" * 16)
    text = (folder / remote.RESULT).read_text()
    (folder / remote.RESULT).write_text(text[: len(text) // 2])
    assert [left.status for left in pull_left_runs(local, session)] == ["error"]
    stored = session.store.get_run("a" * 16)
    assert stored.run.decode_tokens_per_second is None and stored.repetitions == ()
    raw = session.settings.data_dir / "raw" / ("a" * 16) / remote.RESULT
    assert raw.read_text() == text[: len(text) // 2], "kept as evidence"


@pytest.mark.parametrize("damage", ["another run", "a cut record", "garbage between", "no end"])
def test_results_that_are_not_this_runs_whole_result_give_no_figures(
    local: LocalDevice, artifact: Artifact, session: Session, damage: str
) -> None:
    folder = leave_run(local, artifact, "a" * 16)
    lines = (folder / remote.RESULT).read_text().splitlines(keepends=True)
    if damage == "another run":
        lines[2] = lines[2].replace("a" * 16, "b" * 16)
    elif damage == "a cut record":
        lines[2] = lines[2][: len(lines[2]) // 2] + "\n"
    elif damage == "garbage between":
        lines.insert(2, "\0\0\xff not a record\n")
    else:
        del lines[-1]
    (folder / remote.RESULT).write_text("".join(lines))
    assert [left.status for left in pull_left_runs(local, session)] == ["error"]
    stored = session.store.get_run("a" * 16)
    assert stored.run.decode_tokens_per_second is None and stored.repetitions == ()


@pytest.mark.parametrize("unix_ns", [0, 4_102_444_800_000_000_000])
def test_a_phones_clock_that_is_years_off_moves_no_run(
    local: LocalDevice, artifact: Artifact, session: Session, unix_ns: int
) -> None:
    folder = leave_run(local, artifact, "a" * 16)
    text = (folder / remote.RESULT).read_text()
    (folder / remote.RESULT).write_text(
        text.replace('"started_unix_ns": 1,', f'"started_unix_ns": {unix_ns},')
    )
    [left] = pull_left_runs(local, session)
    assert left.status == "ok"
    created = session.store.get_run("a" * 16).run.created_unix_ns
    assert created == description(artifact).created_unix_ns


RunnerScript = Callable[[str], None]


@pytest.fixture
def fake_runner(monkeypatch: pytest.MonkeyPatch, local: LocalDevice) -> RunnerScript:
    """Puts a shell script in the runner's place; its $OUT is the result file."""

    def replace(script: str) -> None:
        start = launch.start_runner

        def start_script(
            device: LocalDevice, run_id: str, command: list[str], **more: object
        ) -> CommandResult:
            out = f"{remote.run_dir(device, run_id)}/{remote.RESULT}"
            return start(device, run_id, ["sh", "-c", f"OUT={out}; {script}", run_id], **more)  # type: ignore[arg-type]

        monkeypatch.setattr(launch, "start_runner", start_script)

    return replace


@pytest.mark.parametrize(
    ("script", "error", "status", "said"),
    [
        ("exit 0", ResultInvalid, "error", "left no result file"),
        ("echo garbage > $OUT", ResultInvalid, "error", "not JSON"),
        (": > $OUT", ResultInvalid, "error", "no start record"),
        ("printf '\\377\\376' > $OUT", ResultInvalid, "error", "not JSON"),
        ("echo out of luck >&2; exit 7", RunnerFailed, "error", "out of luck"),
        ("kill -9 $$", RunnerFailed, "oom_killed", "signal 9"),
        ("kill -11 $$", RunnerFailed, "error", "signal 11"),
    ],
)
def test_runners_that_fail(
    local: LocalDevice,
    artifact: Artifact,
    session: Session,
    fake_runner: RunnerScript,
    script: str,
    error: type[Exception],
    status: str,
    said: str,
) -> None:
    fake_runner(script)
    with pytest.raises(error, match=said):
        profile(local, artifact, SMALL, session)
    [summary] = session.store.list_runs()
    assert summary.run.status == status and summary.run.error and said in summary.run.error
    assert summary.run.prefill_tokens_per_second is None
    assert left_on_device(local) == []


def test_a_runner_that_hangs_is_killed_in_time(
    local: LocalDevice, artifact: Artifact, session: Session, fake_runner: RunnerScript
) -> None:
    fake_runner("echo hanging; while :; do sleep 0.1; done")
    with pytest.raises(Exception, match="longer than 1 s"):
        profile(local, artifact, SMALL, dataclasses.replace(session, timeout_s=1))
    [summary] = session.store.list_runs()
    assert summary.run.status == "timeout"
    assert left_on_device(local) == []
    raw = session.settings.data_dir / "raw" / summary.run.id
    assert (raw / remote.STDOUT).read_text() == "hanging\n"
    assert processes_naming(summary.run.id) == []


def test_a_device_lost_before_the_start_leaves_no_row(
    local: LocalDevice, artifact: Artifact, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*_: object, **__: object) -> None:
        raise DeviceLost("gone", serial="local")

    monkeypatch.setattr(local, "push", lost)
    with pytest.raises(DeviceLost):
        profile(local, artifact, SMALL, session)
    assert session.store.list_runs() == []
    assert not list(Path(session.settings.data_dir).glob("raw/*"))


def test_an_interrupt_while_storing_leaves_no_row_and_no_raw_files(
    local: LocalDevice, artifact: Artifact, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            profile(local, artifact, SMALL, session)
    assert session.store.list_runs() == [] and left_on_device(local) == []
    assert list((session.settings.data_dir / "raw").iterdir()) == []
