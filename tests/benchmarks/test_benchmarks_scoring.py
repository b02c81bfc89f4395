from __future__ import annotations

from pathlib import Path

import pytest
from model_folders import edit_config, write_folder

import toolkit
from benchmarks import scoring
from toolkit.evaluate.needle.haystack import text
from toolkit.evaluate.tasks import harness
from toolkit.settings import Settings


@pytest.mark.parametrize("name", scoring.TASKS)
def test_one_choice_of_four_goes_on_as_the_text_does(name: str) -> None:
    whole = " ".join(text().split())
    items = scoring.task_items(name, 150)
    assert scoring.task_items(name, 150) == items
    for item in items:
        goes_on = [f"{item['context']} {choice}" in whole for choice in item["choices"]]
        assert goes_on == [index == item["answer"] for index in range(scoring.CHOICES)]
    assert {item["answer"] for item in items} == set(range(scoring.CHOICES))


@pytest.mark.soak
def test_both_models_choose_the_same_from_the_same_weights(tmp_path: Path) -> None:
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    harness.prepare()
    settings = Settings.from_environment({"SLM_DATA_DIR": str(tmp_path / "data")})
    folder = tmp_path / "model"
    write_folder(folder, settings)
    # Its tokens are bytes, and five examples take some thousands.
    edit_config(folder, max_position_embeddings=8192)
    artifact = toolkit.convert(str(folder), tmp_path / "a", quant="fp32", context=8192, settings=settings)
    scoring.write_task_files(tmp_path, 8)
    manager = TaskManager(include_path=str(tmp_path), include_defaults=False)
    hf = HFLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=2)
    for task in scoring.TASKS:
        model = scoring.our_model(artifact, 2, tmp_path / f"{task}-kept.jsonl", settings)
        ours, theirs = scoring.turn(model, task, manager), scoring.turn(hf, task, manager)
        assert ours.chosen == theirs.chosen and ours.accuracy == theirs.accuracy
        right = [item["answer"] for item in scoring.task_items(task, 8)]
        alike = [one == other for one, other in zip(ours.chosen, right, strict=True)]
        assert sum(alike) / len(alike) == ours.accuracy
