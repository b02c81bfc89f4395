"""A search as a user runs it, on a model of a few thousand weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pretending import Pretending
from recipe_process import SlmRecipe

from toolkit.artifact import Artifact
from toolkit.autotune.request import AutotuneRequest
from toolkit.autotune.tuning import name_of, tune
from toolkit.errors import UsageError
from toolkit.recipes.executors.executor import Task
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.evaluations import evaluations_of

ASKED = ("random:llama-tiny", "--tries", "2", "--windows", "1")


@pytest.fixture
def autotune(tmp_path: Path) -> Iterator[SlmRecipe]:
    started = SlmRecipe(tmp_path, verb="autotune")
    yield started
    started.kill_all()


def test_a_search_measures_keeps_and_hands_out(autotune: SlmRecipe) -> None:
    output = autotune.folder / "picked"
    found = autotune.json(*ASKED, "-o", output)
    assert found["failed"] == [] and len(found["measured"]) == 2
    front = [one for one in found["measured"] if one["on_front"]]
    best = min(front, key=lambda one: float(one["mean_kl"]))
    artifact = Artifact.load(output)
    artifact.verify()
    assert artifact.manifest.size_bytes == best["size_bytes"]
    assert artifact.manifest.sha256 == Artifact.load(Path(best["artifact"])).manifest.sha256
    with open_store(autotune.settings.store_url) as store:
        kept = evaluations_of(store, "text:opticks_query31.txt")
    by_hash = {one.evaluation.artifact_sha256: one for one in kept}
    scores = {one.metric: one for one in by_hash[artifact.manifest.sha256].scores}
    assert scores["mean_kl"].value == best["mean_kl"] and scores["mean_kl"].higher_is_better is False
    assert scores["perplexity_ratio"].value == best["perplexity_ratio"]

    autotune.verb = "results"
    ranked = autotune.json("compare", "--axis", "quant")["scores"]
    [by_loss] = [one for one in ranked if one["metric"] == "mean_kl"]
    assert by_loss["places"][0]["score"]["value"] == best["mean_kl"], "smaller is better"
    autotune.verb = "autotune"
    again = autotune.run(*ASKED, "--max-loss", "1e-9")
    assert again.returncode == UsageError.exit_code and "within all limits" in again.stderr
    assert "start" not in again.stderr, "what was built and measured serves other limits"
    with open_store(autotune.settings.store_url) as store:
        assert len(evaluations_of(store)) == len(kept)


def test_speed_is_measured_and_the_fastest_handed_out(autotune: SlmRecipe) -> None:
    output = autotune.folder / "picked"
    timed = (*ASKED, "--device", "local", "--min-speed", "1")
    found = autotune.json(*timed, "--pick", "fastest", "-o", output)
    assert found["failed"] == [] and len(found["measured"]) == 2
    with open_store(autotune.settings.store_url) as store:
        measured = {one.artifact.sha256: one.run.decode_tokens_per_second for one in store.list_runs()}
    hashes = [Artifact.load(Path(one["artifact"])).manifest.sha256 for one in found["measured"]]
    assert [one["decode_tokens_per_second"] for one in found["measured"]] == [measured[one] for one in hashes]
    fastest = max(hashes, key=lambda one: measured[one] or 0)
    assert Artifact.load(output).manifest.sha256 == fastest
    too_fast = autotune.run(*timed[:-1], "1e9")
    assert too_fast.returncode == UsageError.exit_code and "--min-speed" in too_fast.stderr


def test_impossible_limits_are_refused_before_anything_is_built(autotune: SlmRecipe) -> None:
    small = autotune.run("random:llama-tiny", "--max-mb", "0.001")
    assert small.returncode == UsageError.exit_code and "the smallest candidate has about" in small.stderr
    slow = autotune.run("random:llama-tiny", "--min-speed", "5")
    assert slow.returncode == UsageError.exit_code and "--device" in slow.stderr
    nowhere = autotune.run("random:llama-tiny", "--pick", "smallest")
    assert nowhere.returncode == UsageError.exit_code and "Pass -o FOLDER" in nowhere.stderr
    assert not autotune.workspace.exists()


@pytest.mark.parametrize("device", ["phones", "virtual:2"])
def test_speed_is_measured_on_one_device(device: str, tmp_path: Path) -> None:
    settings = dataclasses.replace(Settings.from_environment(), data_dir=tmp_path)
    workspace = Workspace(tmp_path / "recipes")
    request = AutotuneRequest(model="random:llama-tiny", device=device)
    with pytest.raises(UsageError, match="one device"):
        tune(request, settings, workspace, lambda plan: Pretending(workspace), lambda event: None)


def test_what_has_failed_is_not_built_again_in_every_round(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        Settings.from_environment(), data_dir=tmp_path, store_url=f"sqlite:///{tmp_path / 'results.db'}"
    )
    workspace = Workspace(tmp_path / "recipes")
    builds: list[str] = []

    def is_second(task: Task) -> bool:
        builds.extend([task.title] if task.work.kind == "convert" else [])
        return task.title == builds[1:2][0] if len(builds) > 1 else False

    def result(task: Task) -> dict[str, Any]:
        if task.work.kind == "convert":
            return {"artifact": "made", "size_bytes": 100_000 - 1000 * len(builds)}
        scores = [{"metric": "mean_kl", "value": 0.1}, {"metric": "perplexity_ratio", "value": 1.1}]
        return {"scores": scores, "evaluation": "e"}

    executor = Pretending(workspace, result_of=result, fails=is_second)
    request = AutotuneRequest(model="random:llama-tiny", tries=6)
    found = tune(request, settings, workspace, lambda plan: executor, lambda event: None)
    assert builds.count(builds[1]) == 1
    assert [title for title, _ in found.failed] == [builds[1]]
    assert len(found.measured) >= 3


def test_searches_of_different_models_or_engines_have_different_batches(tmp_path: Path) -> None:
    folders = [tmp_path / name / "checkpoint" for name in ("a", "b")]
    for folder in folders:
        folder.mkdir(parents=True)
    long = "owner/" + 60 * "x"
    models = ["Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B-Instruct", "other/Qwen2.5-0.5B", long, f"{long}y"]
    asked = [
        AutotuneRequest(model=model, backend=backend)
        for model in (*models, *map(str, folders))
        for backend in ("onnxruntime", "executorch")
    ]
    names = {name_of(one) for one in asked}
    assert len(names) == len(asked)
    assert all(len(name) <= 48 and name.startswith("autotune-") for name in names)
