"""Several artifacts and options in one command, and two artifacts by turns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from slm_process import SlmProcess
from tiny_artifact import CONTEXT_LENGTH
from typer.testing import CliRunner

from toolkit import api
from toolkit.artifact import Artifact
from toolkit.cli.main import app
from toolkit.errors import ConditionsDiffer, DeviceTimeout
from toolkit.settings import Settings
from toolkit.store import open_store

QUICK = ("--warmup", "0", "--gate", "off", "-d", "local")


@pytest.fixture
def in_this_process(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """The command line within the test, so that what it calls can be replaced; with a store of its own."""
    monkeypatch.setenv("SLM_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("SLM_STORE_URL", settings.store_url)
    return CliRunner()


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


@pytest.mark.parametrize("failing", [1, 2, 4])
def test_a_round_that_fails_does_not_cost_those_before_it(
    failing: int,
    artifact: Artifact,
    other: Artifact,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    in_this_process: CliRunner,
) -> None:
    profile, asked = api.profile, []

    def profile_or_stall(*arguments: Any, **options: Any) -> Any:
        asked.append(arguments)
        return profile(*arguments, **options, timeout_s=1e-3 if len(asked) == failing else None)

    monkeypatch.setattr(api, "profile", profile_or_stall)
    work = ("--prompt-tokens", "8", "--generate-tokens", "4", "-r", "1", "--rounds", "2", *QUICK)
    done = in_this_process.invoke(app, ["compare", str(artifact.path), str(other.path), *work])
    assert isinstance(done.exception, DeviceTimeout) and len(asked) == failing
    with open_store(settings.store_url) as store:
        ids = [run.run.id for run in store.list_runs() if run.run.status == "ok"]
    assert len(ids) == failing - 1
    # Both have a run after the second one.
    assert ("B vs A" in done.stdout and "decode" in done.stdout) is (failing > 2)
    assert ("3 of 4 runs are compared" in done.stderr) is (failing > 2)
    assert (f"slm results compare {' '.join(ids)} ITS_RUN --axis model" in done.stderr) is (failing == 2)


def test_rounds_that_differ_in_more_than_the_artifact_can_be_compared_by_hand(
    artifact: Artifact,
    other: Artifact,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    in_this_process: CliRunner,
) -> None:
    profile, depths = api.profile, iter((0, 0, 1, 1))
    # As when a charger is pulled between two rounds: a condition changes.
    monkeypatch.setattr(
        api, "profile", lambda *arguments, **options: profile(*arguments, **options, depth=next(depths))
    )
    work = ("--prompt-tokens", "8", "--generate-tokens", "4", "-r", "1", "--rounds", "2", *QUICK)
    done = in_this_process.invoke(app, ["compare", str(artifact.path), str(other.path), *work])
    assert isinstance(done.exception, ConditionsDiffer) and done.exception.next_step is not None
    advised = done.exception.next_step.split()
    assert advised[:3] == ["slm", "results", "compare"] and advised[-2:] == ["--axis", "depth"]
    by_hand = in_this_process.invoke(app, advised[1:])
    assert by_hand.exit_code == 0 and "also differ" not in by_hand.stderr, by_hand.stderr
    assert all(name in by_hand.stdout for name in (artifact.manifest.sha256[:12], other.manifest.sha256[:12]))
