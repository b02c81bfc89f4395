"""Loading cold and warm, and memory up to a model's maximum."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_points import DEVICE, point

from toolkit.analysis.findings import Finding
from toolkit.models.catalogue.catalogue import shipped
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.studies.data import Point, StudyData
from toolkit.studies.kinds.cold_start import _COLDER, _pairs
from toolkit.studies.kinds.memory_context import contexts
from toolkit.studies.request import StudyRequest
from toolkit.studies.running import prepare, written
from toolkit.studies.study import STUDIES


def test_cold_and_warm_of_the_same_artifact_are_a_pair() -> None:
    points = [
        point(model, conditions={"settings": (("page_cache", state),)}, load_ms=ms)
        for model, state, ms in (
            ("SmolLM-135M", "cold", 400.0),
            ("SmolLM-135M", "warm", 100.0),
            ("SmolLM-360M", "cold", 900.0),
        )
    ]
    ((cold, warm),) = _pairs(points)
    assert (cold.numbers["load_ms"].median, warm.numbers["load_ms"].median) == (400.0, 100.0)
    assert _COLDER.test([], "here").verdict == "not enough data"


def test_contexts_go_up_to_the_models_maximum_or_as_far_as_memory_goes() -> None:
    qwen, smol = shipped()["Qwen1.5-0.5B"], shipped()["SmolLM-135M"]
    assert contexts(qwen, ["8da4w"], None) == [512, 2048, 8192, 32768]
    assert contexts(smol, ["8da4w"], None) == [512, 2048]
    assert contexts(None, ["8da4w"], None) == [512, 2048, 4096]
    # 32768 tokens of Qwen1.5-0.5B take 6.4 GB of keys and values in floats.
    assert contexts(qwen, ["8da4w"], 5e9) == [512, 2048, 8192]


def test_contexts_without_memory_are_left_out_with_the_reason(tmp_path: Path) -> None:
    settings = dataclasses.replace(
        Settings.from_environment(), data_dir=tmp_path, store_url=f"sqlite:///{tmp_path / 'results.db'}"
    )
    asked = StudyRequest.of(models=["Qwen1.5-0.5B", "SmolLM-135M"], quant=["8da4w"], memory_gb=5.0)
    made = prepare(STUDIES.get("memory-context"), asked, settings)
    recipe = yaml.safe_load(made.text)
    (more,) = recipe["convert"]["include"]
    assert (recipe["convert"]["context"], more["context"]) == ([512, 2048], [512, 2048, 8192])
    assert recipe["profile"]["reserve"] == "context"
    (left,) = made.left_out
    # 32768 tokens x 24 layers x 2 x 16 heads x 64 floats are 6.4 GB, and there are weights.
    assert left.model == "Qwen1.5-0.5B"
    assert left.why == "a context of 32768 needs about 6.9 GB, the limit is 5.0 GB"
    place = Workspace.default(settings)
    written(made, place, settings)
    assert "a context of 32768" in (place.batch(made.name) / "study.json").read_text()


@pytest.mark.parametrize("name", ["memory-overview", "memory-breakdown"])
def test_memory_is_that_of_the_context_that_the_survey_had(name: str, tmp_path: Path) -> None:
    settings = dataclasses.replace(Settings.from_environment(), data_dir=tmp_path)
    made = prepare(STUDIES.get(name), StudyRequest.of(models=["SmolLM-135M"]), settings)
    recipe = yaml.safe_load(made.text)
    assert (recipe["convert"]["context"], recipe["profile"]["reserve"]) == ([2048], "context")


def measured(model: str, sizes: dict[int, float], *, reserve: str = "context", **more: Any) -> list[Point]:
    settings = () if reserve == "run" else (("reserve", reserve),)
    return [
        point(model, conditions={"context_length": tokens, "settings": settings}, peak_mb=peak, **more)
        for tokens, peak in sizes.items()
    ]


def found(points: Sequence[Point]) -> list[Finding]:
    with open_store("sqlite://") as store:
        return list(STUDIES.get("memory-context").findings(StudyData(points, (), (), store, shipped())))


def test_only_a_model_s_longest_context_is_judged() -> None:
    # Their maximum is 2048, but for Qwen1.5's 32768.
    names = ("SmolLM-135M", "Pythia-160M", "SmolLM-360M", "Phi-1", "SmolLM-1.7B", "BLOOM-560M", "Phi-2")
    six = [name for name in names if shipped()[name].architecture.context == 2048][:6]
    assert len(six) == 6
    whole = [one for name in six for one in measured(name, {512: 100, 2048: 400})]
    (finding,) = found(whole)
    assert (finding.verdict, finding.value) == ("supported", pytest.approx(0.75))
    cut = [one for one in whole if one.model != six[0]] + measured(six[0], {512: 100, 1024: 110})
    assert "5 of the 6 models" in found(cut)[0].why
    (none,) = found(measured("Qwen1.5-0.5B", {512: 100, 8192: 900}))
    assert none.verdict == "not enough data" and "0 of the 6 models" in none.why


def test_what_reserved_no_context_says_nothing_about_it() -> None:
    (finding,) = found(measured("SmolLM-135M", {512: 183.86, 2048: 184.40}, reserve="run"))
    assert "0 of the 6 models" in finding.why


def test_an_emulated_device_is_called_so() -> None:
    emulated = dataclasses.replace(DEVICE, emulated=True)
    real, virtual = (
        found(measured("SmolLM-135M", {512: 1, 2048: 2}, device=one))[0] for one in (DEVICE, emulated)
    )
    assert "(emulated)" in virtual.where and "(emulated)" not in real.where


def test_the_table_tells_the_contexts_of_a_model_apart() -> None:
    points = measured("SmolLM-135M", {512: 100, 2048: 400})
    with open_store("sqlite://") as store:
        table = STUDIES.get("memory-context").table(StudyData(points, (), (), store, shipped()))
    titles = [title for title, _ in table.columns]
    assert [row[titles.index("Context")] for row in table.rows] == ["512", "2048"]
