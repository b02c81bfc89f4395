"""What steps will need and is not here is said before anything is made: by the plan, and by the run."""

from __future__ import annotations

import importlib.util
import json
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
from recipe_process import SlmRecipe
from written_plans import written_plan

from toolkit import extras
from toolkit.errors import TaskDataMissing, ToolkitError, UsageError
from toolkit.recipes.lacking import lacking, refuse_lacking
from toolkit.recipes.plan import Plan
from toolkit.settings import Settings

TASK = """\
task: {name}
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_choice: ["A", "B"]
doc_to_target: "{{{{answer}}}}"
test_split: test
dataset_path: {data}
"""
RECIPE = """schema: slm-recipe/1
name: lacking
convert: {model: random:llama-tiny, quant: 8w}
"""

needs_harness = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="needs lm-eval: pip install -e '.[evaluate]'"
)


def plan(folder: Path, settings: Settings, text: str) -> Plan:
    return written_plan(folder, settings, RECIPE + text)


def missing(folder: Path, settings: Settings, *tasks: str) -> list[ToolkitError]:
    return list(lacking(plan(folder, settings, f"evaluate: {{tasks: '{','.join(tasks)}'}}\n"), settings))


def write_task(folder: Path, name: str, data: str = "json", more: str = "") -> str:
    (folder / f"{name}.yaml").write_text(TASK.format(name=name, data=data) + more)
    return f"{name}.yaml"


def of_file(path: Path) -> str:
    return f"dataset_kwargs: {{data_files: {{test: {path}}}}}\n"


@needs_harness
def test_a_package_that_a_task_imports_is_missed_before_anything_is_converted(slm_recipe: SlmRecipe) -> None:
    folder = slm_recipe.folder
    (folder / "formulas.py").write_text("raise ModuleNotFoundError('please pip install lm-eval[math]')\n")
    rows = folder / "items.jsonl"
    rows.write_text(json.dumps({"question": "1?", "answer": 1}) + "\n")
    wrong = write_task(folder, "sums", more=of_file(rows) + "process_docs: !function formulas.read\n")
    recipe = slm_recipe.write(RECIPE + f"evaluate: {{tasks: {wrong}}}\n")
    shown = slm_recipe.run("plan", recipe)
    assert shown.returncode == 0 and "Not here: task " in shown.stdout, shown.stderr
    assert "next: Install them: pip install 'lm-eval[math]'" in shown.stdout
    done = slm_recipe.run("run", recipe, "--keep-going")
    assert done.returncode == UsageError.exit_code, done.stderr
    assert "next: Install them: pip install 'lm-eval[math]'" in done.stderr
    assert not slm_recipe.artifacts(), "nothing was converted"


@needs_harness
def test_data_that_are_neither_here_nor_to_be_had_are_missed_as_well(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No hub: its address is one that nobody listens at, and its cache is empty.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "kept")
    rows = tmp_path / "items.jsonl"
    rows.write_text("{}\n")
    there = write_task(tmp_path, "there", more=of_file(rows))
    gone = write_task(tmp_path, "gone", more=of_file(tmp_path / "none.jsonl"))
    far = write_task(tmp_path, "far", "some-owner/SomeSet")
    assert missing(tmp_path, settings, there) == []
    [both] = missing(tmp_path, settings, there, gone, far)
    assert isinstance(both, TaskDataMissing) and "the data of 2 are not here" in both.what
    assert f"there is no file {tmp_path / 'none.jsonl'}" in both.what
    assert "some-owner/SomeSet" in both.what and "http://127.0.0.1:9 cannot be reached" in both.what
    assert "there.yaml" not in both.what
    # What the library keeps of a data set counts, whether or not its hub answers; the name is its own.
    (tmp_path / "kept" / "some-owner___some_set" / "default" / "0.0.0" / "aaaaaaaa").mkdir(parents=True)
    [one] = missing(tmp_path, settings, gone, far)
    assert (one.subject or "").endswith("gone.yaml") and "some-owner" not in one.what


def test_packages_of_every_kind_are_missed_at_once(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name in ("gguf", "altair") else importlib.util.find_spec(name)

    monkeypatch.setattr(extras, "find_spec", find)
    with_page = plan(tmp_path, settings, "profile: {device: R5CT10ABCDE}\nreport: [one.html, two.md]\n")
    convert, report = lacking(with_page, settings)
    assert "package gguf" in convert.what and "[convert]" in (convert.next_step or "")
    assert "package altair" in report.what and "[report]" in (report.next_step or "")
    with pytest.raises(UsageError, match="2 things that are not here; nothing was begun"):
        refuse_lacking(with_page, settings)
    with_text = plan(tmp_path, settings, "profile: {device: R5CT10ABCDE}\nreport: [two.md]\n")
    assert len(lacking(with_text, settings)) == 1, "Markdown has no charts"
