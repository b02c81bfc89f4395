"""A search as a user runs it, on a model of a few thousand weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_process import SlmRecipe

from toolkit.artifact import Artifact
from toolkit.errors import UsageError
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


def test_impossible_limits_are_refused_before_anything_is_built(autotune: SlmRecipe) -> None:
    small = autotune.run("random:llama-tiny", "--max-mb", "0.001")
    assert small.returncode == UsageError.exit_code and "the smallest candidate has about" in small.stderr
    slow = autotune.run("random:llama-tiny", "--min-speed", "5")
    assert slow.returncode == UsageError.exit_code and "--device" in slow.stderr
    assert not autotune.workspace.exists()
