"""Kinds of steps are open: a made-up one is registered from outside and is a part of everything."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from recipe_process import SlmRecipe

from toolkit.errors import BatchError, RecipeError
from toolkit.recipes.step_kinds import STEP_KINDS
from toolkit.recipes.steps import STAGES, work_from_json, work_to_json

HERE = Path(__file__).parent
RECIPE = """schema: slm-recipe/1
name: weighed
convert: {{model: random:llama-tiny, quant: [8w, fp32]}}
weigh: {{unit: {unit}}}
"""

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs ray: pip install -e '.[ray]'"
)


@pytest.fixture
def slm(slm_recipe: SlmRecipe) -> SlmRecipe:
    slm_recipe.program = (str(HERE / "weighing.py"),)
    slm_recipe.environ["PYTHONPATH"] = str(HERE)
    return slm_recipe


@pytest.mark.parametrize("executor", ["local", pytest.param("ray", marks=[needs_ray, pytest.mark.serial])])
def test_a_made_up_kind_runs_in_a_batch(slm: SlmRecipe, executor: str) -> None:
    recipe = slm.write(RECIPE.format(unit="kilobytes"))
    planned = slm.json("plan", recipe)["steps"]
    assert [step["kind"] for step in planned] == ["convert", "convert", "weigh", "weigh"]
    done = slm.run("run", recipe, "--executor", executor, "--jobs", "2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["done"] == 4
    for step in planned[2:]:
        record = json.loads((slm.workspace / "steps" / f"{step['key']}.json").read_text())
        manifest = json.loads((slm.workspace / "artifacts" / step["needs"][0] / "manifest.json").read_text())
        assert record["kind"] == "weigh" and record["result"]["peak_bytes"] > 0
        assert record["result"]["weight"] == sum(one["size_bytes"] for one in manifest["files"]) / 1e3
    again = slm.json("run", recipe, "--only", "weigh")
    assert (again["done"], again["already"]) == (0, 4), "what it needs is chosen with it, and all is done"
    assert {step["kind"] for step in slm.json("status", "weighed")["steps"]} == {"convert", "weigh"}


def test_what_a_failed_step_of_a_made_up_kind_left_is_removed(slm: SlmRecipe) -> None:
    done = slm.run("run", slm.write(RECIPE.format(unit="stone")), "--only", "8w")
    assert done.returncode == BatchError.exit_code
    assert "nobody weighs in stone" in done.stderr and "Use one of kilobytes, megabytes" in done.stderr
    assert (slm.workspace / "scales").is_dir() and not list((slm.workspace / "scales").iterdir())


def test_its_section_is_checked_and_described_like_any_other(slm: SlmRecipe) -> None:
    wrong = slm.run("validate", slm.write(RECIPE.format(unit="kilobytes").replace("unit", "unti")))
    assert wrong.returncode == RecipeError.exit_code
    assert "4:9" in wrong.stderr and "unknown field 'unti'" in wrong.stderr and "'unit'" in wrong.stderr
    schema = json.loads(slm.run("schema").stdout)
    assert schema["properties"]["weigh"]["description"] == "Weigh what was converted."


def test_without_the_kind_its_section_is_a_mistake(slm_recipe: SlmRecipe) -> None:
    wrong = slm_recipe.run("validate", slm_recipe.write(RECIPE.format(unit="kilobytes")))
    assert wrong.returncode == RecipeError.exit_code and "unknown field 'weigh'" in wrong.stderr


def test_a_package_brings_a_kind_by_an_entry_point(slm_recipe: SlmRecipe, tmp_path: Path) -> None:
    info = tmp_path / "packages" / "their_scales-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-scales\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[slm.step_kinds]\nweigh = weighing:KIND\nmeasure = weighing:UNITS\n"
    )
    slm_recipe.environ["PYTHONPATH"] = f"{info.parent}:{HERE}"
    recipe = slm_recipe.write(RECIPE.format(unit="kilobytes"))
    wrong = slm_recipe.run("plan", recipe)
    assert "no StepKind" in wrong.stderr and "package their-scales" in wrong.stderr, "never left out silently"
    (info / "entry_points.txt").write_text("[slm.step_kinds]\nweigh = weighing:KIND\n")
    planned = slm_recipe.json("plan", recipe)["steps"]
    assert [step["kind"] for step in planned] == ["convert", "convert", "weigh", "weigh"]


def test_work_travels_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    from weighing import WeighWork

    work = WeighWork(artifact="a" * 24, unit="kilobytes")
    sent = json.loads(json.dumps(work_to_json(work)))
    assert work_from_json(sent) == work


def test_every_kind_has_a_stage() -> None:
    assert {STEP_KINDS.get(name).stage for name in STEP_KINDS} == set(STAGES)
