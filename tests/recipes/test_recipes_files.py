"""Files that a recipe names are found where it says, and count by what they hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from written_plans import written_plan

from toolkit.errors import RecipeInvalid
from toolkit.recipes.steps import Step
from toolkit.recipes.validation import load_recipe
from toolkit.settings import Settings

CONVERT = "schema: slm-recipe/1\nname: x\nconvert: {{model: 'random:llama-tiny', {}}}\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder than the recipes'."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    return folder


def steps(folder: Path, settings: Settings, convert: str, rest: str = "") -> list[Step]:
    return list(written_plan(folder, settings, CONVERT.format(convert) + rest).steps)


def test_text_to_calibrate_with_may_be_in_the_home_folder(
    tmp_path: Path, home: Path, settings: Settings
) -> None:
    text = home / "t.txt"
    text.write_text("Once upon a time.")

    def planned(more: str) -> Step:
        (step,) = steps(tmp_path, settings, f"algorithm: gptq{more}")
        return step

    short, absolute, without = (
        planned(more) for more in (", calibration: ~/t.txt", f", calibration: {text}", "")
    )
    assert short.work.request.calibration == absolute.work.request.calibration == text
    assert short.key == absolute.key != without.key
    text.write_text("Twice upon a time.")
    assert planned(", calibration: ~/t.txt").key not in (short.key, without.key)


def test_text_to_evaluate_over_may_be_in_the_home_folder(
    tmp_path: Path, home: Path, settings: Settings
) -> None:
    text = home / "x.txt"
    text.write_text("Once upon a time.")

    def planned(file: object) -> Step:
        return steps(tmp_path, settings, "quant: 8da4w", f"evaluate: {{text: {file}}}\n")[-1]

    before = planned("~/x.txt")
    assert before.work.request.text == text and before.key == planned(text).key
    text.write_text("Twice upon a time.")
    assert planned("~/x.txt").key != before.key
    with pytest.raises(RecipeInvalid, match="no such file"):
        planned("~/y.txt")


def test_tasks_of_ones_own_may_be_in_the_home_folder(tmp_path: Path, home: Path, settings: Settings) -> None:
    folder = home / "tasks"
    folder.mkdir()
    (folder / "mine.yaml").write_text("task: mine\n")

    def planned(more: str) -> Step:
        return steps(tmp_path, settings, "quant: 8da4w", f"evaluate: {{tasks: mine{more}}}\n")[-1]

    before = planned(", include_path: ~/tasks")
    assert before.work.request.include_path == folder
    assert before.key == planned(f", include_path: {folder}").key != planned("").key
    (folder / "mine.yaml").write_text("task: mine\ndescription: edited\n")
    assert planned(", include_path: ~/tasks").key != before.key
    with pytest.raises(RecipeInvalid, match="no such folder"):
        planned(", include_path: ~/other")


@pytest.mark.parametrize("algorithms", ["rtn", "[hqq, rtn]", "gptq, quant: fp16"])
def test_text_to_calibrate_with_is_refused_where_nothing_is_calibrated(
    tmp_path: Path, algorithms: str
) -> None:
    (tmp_path / "t.txt").write_text("Once upon a time.")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(CONVERT.format(f"algorithm: {algorithms}, calibration: t.txt"))
    with pytest.raises(RecipeInvalid, match="3:.*calibration is for algorithm gptq"):
        load_recipe(recipe)


def test_each_step_has_the_options_that_concern_it(tmp_path: Path, settings: Settings) -> None:
    """Of one recipe: text for those that are calibrated, kernels, gate and energy for the runs."""
    (tmp_path / "t.txt").write_text("Once upon a time.")
    convert = "algorithm: [hqq, gptq], quant: 8da4w"
    run = "kernels: 'own:avx2', gate: {name: strict, max_celsius: 38}, energy: true"
    made = steps(tmp_path, settings, f"{convert}, calibration: t.txt", f"profile: {{{run}}}\n")
    hqq, gptq, *runs = made
    assert [(one.work.request.algorithm, one.work.request.calibration) for one in (hqq, gptq)] == [
        ("hqq", None),
        ("gptq", tmp_path / "t.txt"),
    ]
    assert [one.needs for one in runs] == [(hqq.key,), (gptq.key,)]
    for one in runs:
        request = one.work.request
        assert request.kernels == "own:avx2"
        assert (request.gate.name, request.gate.max_celsius) == ("strict", 38)
        assert request.energy is not None and not request.energy.allow_charging

    keys = [one.key for one in made]
    assert len(set(keys)) == 4

    def changed(old: str, new: str) -> list[bool]:
        """Which of the four steps are others when a word of the recipe is another."""
        parts = (
            f"{convert}, calibration: t.txt".replace(old, new),
            f"profile: {{{run}}}\n".replace(old, new),
        )
        others = [step.key for step in steps(tmp_path, settings, *parts)]
        return [before != after for before, after in zip(keys, others, strict=True)]

    assert changed(", calibration: t.txt", "") == [False, True, False, True]
    assert changed("own:avx2", "own") == [False, False, True, True]
    assert changed("max_celsius: 38", "max_celsius: 39") == [False, False, True, True]
    assert changed("energy: true", "energy: {baseline_s: 7}") == [False, False, True, True]
    assert changed("energy: true", "energy: false") == [False, False, True, True]
