"""Artifacts that the toolkit of 2026-11-29 wrote (slm-artifact/1) still run, with the tokens of then."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import SMALL

from toolkit.artifact import Artifact
from toolkit.devices.local import LocalDevice
from toolkit.profiling.session.session import Session, profile

BEFORE = Path(__file__).parent / "before"


@pytest.mark.parametrize("engine", ["onnxruntime", "executorch"])
def test_an_artifact_of_before_runs(local: LocalDevice, session: Session, engine: str) -> None:
    artifact = Artifact.load(BEFORE / engine)
    run = profile(local, artifact, SMALL, session).run
    assert (run.status, run.engine) == ("ok", engine)
    # What the manifest was written with: transformers' own greedy tokens, as the old runner repeated them.
    assert (run.greedy_matched, run.greedy_total) == (32, 32)
