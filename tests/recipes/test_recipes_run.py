"""Running recipes: twice, interrupted, killed at any moment, watched from another terminal."""

from __future__ import annotations

import json
import random
import re
import signal
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from recipe_process import SlmRecipe, wait_until

from toolkit.errors import BatchError, RecipeError

SMALL = """schema: slm-recipe/1
name: small
convert:
  model: random:llama-tiny
  backend: [onnxruntime, executorch]
  quant: [8da4w, 8da8w, fp32]
profile:
  preset: smoke
  device: local
  rounds: 1
"""
STEPS = 12


def test_a_recipe_runs_once_and_then_does_nothing(slm_recipe: SlmRecipe) -> None:
    recipe = slm_recipe.write(SMALL)
    process = slm_recipe.run("run", recipe, "--only", "convert", "--json")
    assert re.search(
        r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \[6/6\] done   .*took .* so far", process.stderr, re.M
    )
    first = json.loads(process.stdout)
    assert (first["done"], first["left"], first["failed"]) == (6, 0, [])
    verdicts = {step["verdict"] for step in first["steps"] if step["kind"] == "convert"}
    assert verdicts == {"random weights"}
    rest = slm_recipe.json("run", recipe)
    assert (rest["done"], rest["already"]) == (6, 6)
    before = slm_recipe.stored(), slm_recipe.run_ids(), slm_recipe.artifacts()
    assert len(before[0]) == len(before[2]) == 6
    assert {run[2] for run in before[0]} == {"ok"}

    again = slm_recipe.json("run", recipe)
    assert (again["done"], again["already"]) == (0, STEPS)
    assert (slm_recipe.stored(), slm_recipe.run_ids(), slm_recipe.artifacts()) == before
    assert slm_recipe.leftovers() == []

    status = slm_recipe.json("status", "small")
    assert {step["state"] for step in status["steps"]} == {"cached"}
    made = [Path(step["output"]).name for step in status["steps"] if step["kind"] == "convert"]
    assert sorted(made) == sorted(before[2])
    log = Path(next(step["log"] for step in status["steps"] if step["kind"] == "convert"))
    assert re.search(r"^verdict: (good|usable|damaged) - .*random weights", log.read_text(), re.MULTILINE)
    planned = slm_recipe.json("plan", "small")
    assert {step["state"] for step in planned["steps"]} == {"done"}
    assert "Verdicts on artifacts: 6 random weights" in slm_recipe.run("run", recipe).stdout


@pytest.mark.parametrize("moments", [4, pytest.param(10, marks=pytest.mark.soak)])
def test_killed_at_any_moment_it_resumes_to_the_same_store_content(
    slm_recipe: SlmRecipe, moments: int
) -> None:
    recipe = slm_recipe.write(SMALL)
    rng = random.Random(5)
    kills = 0
    for _ in range(moments):
        process = slm_recipe.start("run", recipe, "--jobs", "2")
        deadline = time.monotonic() + rng.uniform(0.5, 9.0)
        wait_until(lambda: process.poll() is not None or time.monotonic() > deadline)  # noqa: B023
        kills += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate()
        statuses = [run[2] for run in slm_recipe.stored()]
        assert set(statuses) <= {"ok"}
        assert len(slm_recipe.run_ids()) == len(set(slm_recipe.run_ids()))
    assert kills >= moments // 3, "the batch ended before most kills: they tested nothing"
    done = slm_recipe.run("run", recipe)
    assert done.returncode == 0, done.stderr
    stored = slm_recipe.stored()
    assert len(stored) == STEPS // 2
    assert len(set(stored)) == STEPS // 2, "each run is there once"
    assert len(slm_recipe.artifacts()) == STEPS // 2
    assert slm_recipe.leftovers() == []


def test_ctrl_c_ends_the_children_and_leaves_nothing_half_done(slm_recipe: SlmRecipe) -> None:
    recipe = slm_recipe.write(SMALL.replace("llama-tiny", "tinyllama-1.1b"))
    process = slm_recipe.start("run", recipe)
    status = wait_until(lambda: _running(slm_recipe))
    assert status["name"] == "small"
    busy = slm_recipe.run("run", recipe)
    assert busy.returncode == BatchError.exit_code
    assert "is being run by process" in busy.stderr
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted: the same command goes on" in err
    assert slm_recipe.leftovers() == []
    after = slm_recipe.json("status", "small")
    assert {step["state"] for step in after["steps"]} == {"waiting"}


def test_a_failed_step_has_its_exit_code_and_its_log(slm_recipe: SlmRecipe) -> None:
    (slm_recipe.folder / "odd.json").write_text('{"model_type": "nonsense"}')
    recipe = slm_recipe.write(SMALL.replace("random:llama-tiny", "[random:odd.json]"))
    done = slm_recipe.run("run", recipe, "--limit", "1")
    assert done.returncode == BatchError.exit_code
    assert "FAILED" in done.stderr and "log: " in done.stderr
    assert "Traceback" not in done.stderr
    assert f" 1/{STEPS}] FAILED" in done.stderr
    told = slm_recipe.run("status", recipe, "--json")
    assert told.returncode == BatchError.exit_code
    steps = json.loads(told.stdout)["steps"]
    states = [step["state"] for step in steps]
    assert states.count("failed") == 1
    assert states.count("skipped") == STEPS - 1
    assert Path(steps[states.index("failed")]["log"]).is_file()
    suite = ElementTree.fromstring(slm_recipe.run("status", "small", "--junit").stdout.split("\n", 1)[1])
    counted = [suite.get(name) for name in ("tests", "failures", "skipped")]
    assert counted == [str(STEPS), "1", str(STEPS - 1)]


@pytest.mark.parametrize("arguments", [["run"], ["plan"], ["validate"]])
def test_a_wrong_recipe_has_an_exit_code_of_its_own(slm_recipe: SlmRecipe, arguments: list[str]) -> None:
    done = slm_recipe.run(*arguments, slm_recipe.write("schema: slm-recipe/1\n"))
    assert done.returncode == RecipeError.exit_code
    assert "Traceback" not in done.stderr


def test_a_recipe_that_never_ran_has_no_status(slm_recipe: SlmRecipe) -> None:
    for word, said in (("smoke/tiny", "never run"), ("small", "no such recipe")):
        done = slm_recipe.run("status", word)
        assert done.returncode == 2 and said in done.stderr


def _running(slm_recipe: SlmRecipe) -> dict[str, object] | None:
    done = slm_recipe.run("status", "small", "--json")
    if done.returncode:
        return None
    status: dict[str, object] = json.loads(done.stdout)
    steps = status["steps"]
    assert isinstance(steps, list)
    return status if any(step["state"] == "running" for step in steps) else None


def test_a_model_that_cannot_be_had_keeps_no_other_from_running(slm_recipe: SlmRecipe) -> None:
    slm_recipe.environ["HF_HUB_OFFLINE"] = "1"
    recipe = slm_recipe.write(
        "schema: slm-recipe/1\nname: some\n"
        "convert: {model: [no/such-model, nor/this, random:llama-tiny], quant: fp32, parity_check: false}\n"
    )
    done = slm_recipe.run("run", recipe, "--keep-going")
    assert done.returncode == BatchError.exit_code
    assert "no/such-model" in done.stderr and "nor/this" in done.stderr
    assert len(slm_recipe.artifacts()) == 1
