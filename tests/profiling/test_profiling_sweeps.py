"""Several artifacts and options in one command, and two artifacts by turns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from slm_process import SlmProcess
from tiny_artifact import CONTEXT_LENGTH, make_artifact
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact
from toolkit.settings import Settings
from toolkit.store import open_store

QUICK = ("--warmup", "0", "--gate", "off", "-d", "local")


@pytest.fixture(scope="session")
def other(decoder: TinyDecoder, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Of another name and another hash."""
    folder = tmp_path_factory.mktemp("artifacts") / "other"
    return make_artifact(folder, TinyDecoder(context_length=CONTEXT_LENGTH, all_logits=True), name="other")


def test_every_combination_of_each_artifact_is_run_once(
    slm: SlmProcess, artifact: Artifact, other: Artifact, settings: Settings
) -> None:
    sweep = ("--prompt-tokens", "8,16,8", "--threads", "1", "--generate-tokens", "2", "-r", "1")
    process = slm("profile", artifact.path, other.path, *sweep, *QUICK, "--json")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    runs = [one["run"] for one in json.loads(out)]
    assert [(run["prompt_tokens"], run["threads"]) for run in runs] == [(8, 1), (16, 1)] * 2
    assert "run 4 of 4: other pp16 tg2 t1" in err
    with open_store(settings.store_url) as store:
        assert len(store.list_runs()) == 4


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--threads", "1,x"), "--threads '1,x' is not a number"),
        (("--prompt-tokens", "0,8"), "prompt_tokens"),
        (("--prompt-tokens", f"8,{CONTEXT_LENGTH}"), "its context length is"),
    ],
)
def test_a_sweep_that_cannot_be_meant_runs_nothing(
    slm: SlmProcess, artifact: Artifact, settings: Settings, flags: tuple[str, str], said: str
) -> None:
    process = slm("profile", artifact.path, *flags, *QUICK)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and said in err and "next:" in err
    assert not Path(settings.data_dir, "results.db").exists()


def test_two_artifacts_are_measured_by_turns_and_judged(
    slm: SlmProcess, artifact: Artifact, other: Artifact, settings: Settings
) -> None:
    work = ("--prompt-tokens", "8", "--generate-tokens", "4", "-r", "2", "--rounds", "2", *QUICK)
    process = slm("compare", artifact.path, other.path, *work, COLUMNS="80")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    turns = [line.rpartition(" ")[2] for line in err.splitlines() if line.startswith("round ")]
    assert turns == [artifact.name, "other", "other", artifact.name]
    assert all(len(line) <= 80 for line in out.splitlines())
    rows = {line.split()[0]: line for line in out.splitlines() if line[:1].isalpha()}
    for figure in ("decode", "prefill", "ttft", "load", "peak_bytes"):
        assert any(
            verdict in rows[figure] for verdict in ("better", "worse", "no difference", "inconclusive")
        )
    assert "size" in rows and "no agreement with the original" in out
    with open_store(settings.store_url) as store:
        assert len(store.list_runs()) == 4
    same = slm("compare", artifact.path, artifact.path, *QUICK)
    _, err = same.communicate(timeout=60)
    assert same.returncode == 2 and "the same artifact" in err
