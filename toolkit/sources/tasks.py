"""What a checkpoint is for, by optimum's names of tasks; only text generation is converted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.errors import UnsupportedModel, UsageError

TEXT_GENERATION = "text-generation"
# A model without a head: whether its weights suffice, its tensors tell.
_HEADLESS = "feature-extraction"


def task_of(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    """(task, class) that a config.json says its checkpoint was saved from; None where it does not say.

    A class that generates text wins over others.
    """
    import transformers
    from optimum.exporters.tasks import TasksManager

    found: list[tuple[str, str]] = []
    named = fields.get("architectures")
    for name in named if isinstance(named, list) else ():
        made = getattr(transformers, str(name), None)
        if made is None:
            continue
        try:
            found.append((str(TasksManager.infer_task_from_model(made)), str(name)))
        except (ValueError, KeyError):  # optimum has no name for it
            continue
    return next((one for one in found if one[0] == TEXT_GENERATION), found[0] if found else None)


def check_task(fields: Mapping[str, Any], *, subject: str, headless: bool = False) -> None:
    """Refuse a checkpoint of another task.

    Args:
        fields: content of a config.json.
        subject: for the message.
        headless: take one without a head, whose weights may hold all that is needed.

    Raises:
        UnsupportedModel: with the name of its task.
    """
    found = task_of(fields)
    if found is None or found[0] == TEXT_GENERATION or (headless and found[0] == _HEADLESS):
        return
    task, name = found
    raise UnsupportedModel(
        f"is a checkpoint for {task} ({name}), not for {TEXT_GENERATION}",
        subject=subject,
        next_step="Choose a checkpoint of a causal language model.",
    )


def check_task_name(task: str | None) -> None:
    """Refuse a task that is asked for and is not text generation; synonyms are optimum's.

    Raises:
        UsageError: with optimum's name of it.
    """
    if task is None:
        return
    from optimum.exporters.tasks import TasksManager

    name = str(TasksManager.map_from_synonym(task)).removesuffix("-with-past")
    if name != TEXT_GENERATION:
        raise UsageError(
            f"--task {task}: only {TEXT_GENERATION} is exported",
            next_step="Leave --task out, or take another of optimum's exporters.",
        )
