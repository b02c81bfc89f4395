"""Answers and scores that are kept: nothing is asked twice, and what was stored is shown and ranked."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness_scores import SEED, evaluate
from questions import share_cache

from toolkit.analysis.scores import rank_scores
from toolkit.artifact import Artifact
from toolkit.errors import UsageError
from toolkit.evaluate.on_device.kept import KeptAnswers
from toolkit.evaluate.scoring import ContinueAnswer, ContinueRequest, ScoreAnswer, ScoreRequest
from toolkit.evaluate.tasks.task_scores import TaskFigures, items_of, left_out_of, scores_of
from toolkit.settings import Settings
from toolkit.store import open_store


def test_what_was_answered_is_not_asked_again(
    quantized: Artifact, tasks: Path, settings: Settings, tmp_path: Path
) -> None:
    # Whatever other tests asked the same model.
    settings = dataclasses.replace(settings, cache_dir=tmp_path)
    first = evaluate(quantized, tasks, settings, "own_letters", limit=4)
    assert first.answered == first.asked == 16
    again = evaluate(quantized, tasks, settings, "own_letters")
    assert (again.asked, again.answered) == (48, 32)
    third = evaluate(quantized, tasks, settings, "own_letters")
    assert (third.answered, third.scores) == (0, again.scores)
    assert first.scores[0].items_sha256 != again.scores[0].items_sha256


def test_an_evaluation_killed_at_any_moment_resumes_to_the_same_scores(
    onnx: Artifact, tasks: Path, settings: Settings, tmp_path: Path
) -> None:
    wanted = evaluate(onnx, tasks, settings, "own_choice,own_rolling")
    share_cache(settings.cache_dir, tmp_path / "cache")
    environ = os.environ | {"SLM_CACHE_DIR": str(tmp_path / "cache"), "SLM_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "toolkit.cli.main", "evaluate", str(onnx.path), "--json"]
    command += ["--tasks", "own_choice,own_rolling", "--include-path", str(tasks), "--seed", str(SEED)]
    kept = tmp_path / "cache" / "evaluations"
    for least in (1, 20):
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if sum(file.read_bytes().count(b"\n") for file in kept.glob("*.jsonl")) >= least:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        process.wait()
    # As a kill in the middle of a write leaves it.
    [file] = kept.glob("*.jsonl")
    file.write_bytes(file.read_bytes() + b'{"key": "ab", "log_proba')
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = TaskFigures.model_validate_json(done.stdout)
    assert found.answered < found.asked
    assert found.scores == wanted.scores


def test_answers_survive_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    asked = [ScoreRequest((1, 2), 1), ScoreRequest((1, 2, 3), 1), ContinueRequest((1, 2), 3, (4,))]
    given = [ScoreAnswer((float("-inf"),), False), ScoreAnswer((-0.1, -1 / 3), True), ContinueAnswer((5,))]
    for question, answer in zip(asked, given, strict=True):
        KeptAnswers(file).add(question, answer)
        with file.open("a") as cut:
            cut.write('{"key": "cut')
    kept = KeptAnswers(file)
    assert [kept.get(question) for question in asked] == given
    assert kept.get(ContinueRequest((1, 2), 3, (5,))) is None
    assert len(kept) == 3


def test_the_command_prints_a_line_per_score(
    onnx: Artifact, tasks: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from toolkit.cli.main import app

    monkeypatch.setenv("SLM_DATA_DIR", str(settings.data_dir))
    asked = [
        "evaluate",
        str(onnx.path),
        "--tasks",
        "own_choice",
        "--include-path",
        str(tasks),
        "--limit",
        "3",
    ]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert "own_choice, 0 shots: acc 0." in shown.stdout
    assert "n = 3" in shown.stdout
    fetched = CliRunner().invoke(app, ["evaluate", *asked[2:-2], "--fetch-only"])
    assert "1 tasks (own_choice)" in fetched.stdout, fetched.output
    mixed = CliRunner().invoke(app, [*asked, "--window", "9"])
    assert isinstance(mixed.exception, UsageError) and "--window" in str(mixed.exception)
    json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)


def test_scores_of_two_artifacts_are_ranked_item_by_item(
    onnx: Artifact, quantized: Artifact, tasks: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from toolkit.cli.main import app

    store = f"sqlite:///{settings.data_dir / 'ranked.db'}"
    own = dataclasses.replace(settings, store_url=store)
    for artifact in (onnx, quantized):
        evaluate(artifact, tasks, own, "own_choice,own_rolling")
    with open_store(store) as opened:
        for metric in ("word_perplexity", "bits_per_byte"):
            [ranking] = rank_scores(opened, "own_rolling", metric=metric)
            best, other = ranking.places
            assert other.paired is not None and other.paired.items == 12
            # The items come to the harness's own figures.
            assert other.paired.difference == pytest.approx(other.score.value - best.score.value, rel=1e-6)
    monkeypatch.setenv("SLM_STORE_URL", store)
    for command in (
        ["scores", "own_choice"],
        ["compare", "--axis", "quantization", "--figure", "own_choice"],
    ):
        shown = CliRunner().invoke(app, ["results", *command])
        assert shown.exit_code == 0, shown.output
        assert "own_choice, 0 shots: acc, n = 12" in shown.stdout
        assert "vs best" in shown.stdout
        assert onnx.name in shown.stdout and quantized.name in shown.stdout
    # Options that a ranking of scores cannot heed are refused, not ignored.
    refused = CliRunner().invoke(app, ["results", "compare", "--figure", "own_choice", "--device", "local"])
    assert isinstance(refused.exception, UsageError)


def test_a_metric_that_is_no_number_is_left_out_and_told() -> None:
    sample = {"doc_hash": "d", "prompt_hash": "p", "target_hash": "t", "filter": "none"}
    metrics = {"acc": 1.0, "f1": float("nan"), "word_perplexity": float("inf")}
    results = {
        "results": {
            "own": {"alias": "own"}
            | {f"{name},none": value for name, value in metrics.items()}
            | {f"{name}_stderr,none": float("inf") for name in metrics}
        },
        "n-shot": {"own": 0},
        "n-samples": {"own": {"effective": 1}},
        "samples": {"own": [{**sample, "metrics": list(metrics), **metrics}]},
    }
    [score] = scores_of(results)
    assert (score.metric, score.value, score.stderr) == ("acc", 1.0, None)
    assert left_out_of(results) == ["own f1,none: nan", "own word_perplexity,none: inf"]
    assert [item.metrics for item in items_of(results)] == [{"acc,none": 1.0}]


def test_an_edited_config_or_other_weights_are_another_model(tmp_path: Path, settings: Settings) -> None:
    """Its answers are asked anew, and its scores ranked apart."""
    from model_folders import edit_config, write_folder

    from toolkit.evaluate.subject import source_sha256
    from toolkit.sources import resolve

    for run, changes in {"a": {}, "b": {}, "c": {"rms_norm_eps": 1e-3}}.items():
        write_folder(tmp_path / run / "checkpoint-500", settings)
        edit_config(tmp_path / run / "checkpoint-500", **changes)
    hashes = [
        source_sha256(resolve(str(tmp_path / run / "checkpoint-500"), settings)) for run in ("a", "b", "c")
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    config = tmp_path / "config.json"
    config.write_text((tmp_path / "a" / "checkpoint-500" / "config.json").read_text())
    before = source_sha256(resolve(f"random:{config}", settings))
    edit_config(tmp_path, rms_norm_eps=1e-3)
    assert source_sha256(resolve(f"random:{config}", settings)) != before
    assert source_sha256(resolve("random:llama-tiny", settings)) != before
