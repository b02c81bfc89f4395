"""Tasks on a model: transformers, or an artifact in the runner on this machine or a phone."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from toolkit.errors import EvaluationError, UsageError
from toolkit.evaluate.on_device.asking import UNKNOWN_CONTEXT, asking, where
from toolkit.evaluate.on_device.sampled import sample_again
from toolkit.evaluate.request import TaskRequest
from toolkit.evaluate.subject import Subject
from toolkit.evaluate.tasks import harness
from toolkit.evaluate.tasks.rounds import work_of
from toolkit.evaluate.tasks.task_scores import TaskFigures, items_of, left_out_of, means_of, scores_of
from toolkit.evaluate.versions import versions_asked
from toolkit.progress import ProgressCallback, silent
from toolkit.settings import Settings

_PACKAGES = ("lm-eval", "datasets", "transformers")


def fetch(request: TaskRequest) -> tuple[list[str], Path]:
    """Bring the data of tasks onto this machine.

    Returns:
        The tasks, and the folder that holds their data.

    Raises:
        EvaluationError: a task that is unknown, unusable or not to be had.
    """
    harness.prepare()
    from huggingface_hub.constants import HF_HOME

    tasks = harness.Tasks(request.include_path)
    names = [name for one in work_of(request).rounds for name in one.tasks]
    found = {task for name in dict.fromkeys(names) for task in tasks.load([name])["tasks"]}
    return sorted(found), Path(HF_HOME)


def evaluate_tasks(
    subject: Subject, request: TaskRequest, settings: Settings, *, progress: ProgressCallback = silent
) -> TaskFigures:
    """Run tasks on a model.

    Args:
        subject: the model.
        request: tasks, shots, items, and where an artifact runs.
        settings: caches; finished requests are kept there.
        progress: called with (questions answered, questions) of each kind of request.

    Raises:
        EvaluationError: a task that is unknown or without data, prompts that do not fit, broken logits, no
            metric that is a number.
        DeviceError: the device failed; what it answered is kept.
    """
    harness.prepare()
    from toolkit.evaluate.tasks.model import Limits, ScoredModel, results_of, tokenizer_of

    started = time.monotonic()
    work = work_of(request)
    tasks = harness.Tasks(request.include_path)
    # What is wrong with a task shows before a model is loaded.
    loaded = [list(_top_level(tasks.load(one.tasks))) for one in work.rounds]
    asked = placed_here(request)
    questions = asking(subject, asked, settings, progress)
    # A device that is not there shows now, and not after hours of answers.
    there = None if request.sample_on_device is None else asking(subject, request, settings, progress)
    scores, items, left_out = [], [], []
    with tempfile.TemporaryDirectory(prefix="slm-tokenizer-") as scratch:
        model = ScoredModel(
            subject.name,
            tokenizer_of(subject.write_tokenizer(Path(scratch)), subject.name),
            questions,
            Limits(subject.context_length or UNKNOWN_CONTEXT, subject.vocab_size, request.truncate),
        )
        for one, chosen in zip(work.rounds, loaded, strict=True):
            results = results_of(model, chosen, tasks.manager, one.shots, work.limit, request.seed)
            scores += scores_of(results)
            items += items_of(results)
            left_out += left_out_of(results)
    if left_out and not scores:
        raise EvaluationError(
            f"no metric came out as a number: {', '.join(left_out)}",
            subject=subject.name,
            next_step="Ask more items, or another task: --limit N, --tasks NAME.",
        )
    sampled = None
    if request.sample_on_device is not None and there is not None:
        device = where(subject, request)
        sampled = sample_again(questions, there, device, request.sample_on_device, request.seed)
    return TaskFigures(
        target=subject.name,
        artifact_sha256=subject.artifact.manifest.sha256 if subject.artifact else None,
        where=where(subject, asked),
        scores=scores,
        means=means_of(scores) if len(work.rounds) <= 2 else {},
        settings={"limit": work.limit, "seed": request.seed, "truncate": request.truncate},
        versions=versions_asked(subject, *_PACKAGES),
        asked=questions.asked,
        answered=questions.answered,
        seconds=round(time.monotonic() - started, 3),
        sampled=sampled,
        left_out=left_out,
        items=items,
    )


def placed_here(request: TaskRequest) -> TaskRequest:
    """The request as its questions are asked: on this machine, where a device answers a sample alone.

    Raises:
        UsageError: a sample without a device.
    """
    if request.sample_on_device is None:
        return request
    if request.device is None:
        raise UsageError(
            "--sample-on-device compares a device with this machine",
            next_step="Say which: --device SERIAL.",
        )
    return request.model_copy(update={"device": None})


def _top_level(loaded: dict[str, Any]) -> list[Any]:
    groups = loaded.get("groups", {})
    nested = {child for children in loaded.get("group_map", {}).values() for child in children}
    grouped = {task.task_name for group in groups.values() for task in group.get_all_tasks()}
    found = [group for name, group in groups.items() if name not in nested]
    return found + [task for name, task in loaded["tasks"].items() if name not in grouped]
