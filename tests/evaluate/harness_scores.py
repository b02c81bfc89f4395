"""Evaluations of the tests' own tasks: the toolkit's, and the harness's with its own model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import toolkit
from toolkit.evaluate.tasks.task_scores import TaskFigures
from toolkit.settings import Settings

ROUNDS = {"own_choice,own_letters,own_rolling,own_writing": 0, "own_choice,own_letters": 1}
SEED = 7


def run_hflm(original: Path, tasks: Path, names: str, shots: int) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(pretrained=str(original), device="cpu", dtype="float32", batch_size=1)
    found: dict[str, Any] = simple_evaluate(
        model=model,
        tasks=names.split(","),
        num_fewshot=shots,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        bootstrap_iters=0,
        fewshot_random_seed=SEED,
    )
    return found


def evaluate(target: Any, tasks: Path, settings: Settings, names: str, **options: Any) -> TaskFigures:
    options = {"include_path": tasks, "seed": SEED} | options
    return toolkit.evaluate_tasks(target, names, settings=settings, **options)
