from __future__ import annotations

from pathlib import Path

from runs import SMALL

from toolkit.artifact import Artifact
from toolkit.devices.local import LocalDevice
from toolkit.profiling.session.session import Session, profile


def test_a_profile_run_is_measured_and_stored(
    local: LocalDevice, artifact: Artifact, session: Session
) -> None:
    stored = profile(local, artifact, SMALL, session)
    assert session.store.get_run(stored.run.id) == stored
    run = stored.run
    assert run.status == "ok" and run.error is None and run.exit_code == 0
    assert (run.greedy_matched, run.greedy_total) == (12, 12)
    assert [len(repetition.decode_ns) for repetition in stored.repetitions] == [3, 3, 3]
    assert [repetition.warmup for repetition in stored.repetitions] == [True, False, False]
    assert run.prefill_tokens_per_second and run.decode_tokens_per_second and run.peak_bytes
    assert run.threads == 1
    assert [condition.moment for condition in stored.conditions] == ["before", "after"]


def test_raw_files_are_kept_and_the_device_is_left_clean(
    local: LocalDevice, artifact: Artifact, session: Session
) -> None:
    run = profile(local, artifact, SMALL, session).run
    raw = session.settings.data_dir / "raw"
    assert [folder.name for folder in raw.iterdir()] == [run.id]
    kept = {file.name for file in (raw / run.id).iterdir()}
    assert kept == {
        "run.json", "argv.json", "readings.json", "prompt.txt", "continuation.txt", "result.jsonl",
        "stdout", "stderr",
    }  # fmt: skip
    assert list(Path(local.workdir, "runs").iterdir()) == []
