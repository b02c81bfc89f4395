"""Limits on what an artifact may have lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.api.evaluation import evaluate_tasks, fetch_tasks
from toolkit.artifact import Artifact
from toolkit.errors import RequirementFailed
from toolkit.evaluate.request import TaskRequest
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.evaluate.text import TextFigures


def check_requirements(
    artifact: Artifact,
    requirements: Sequence[str],
    *,
    source: str,
    texts: TextFigures | None = None,
    settings: Settings | None = None,
) -> list[str]:
    """Measure what limits ask for, and compare.

    Args:
        artifact: what must be within them.
        requirements: limits, such as "perplexity_ratio <= 1.05" or "arc_easy >= 0.95x source".
        source: the model that it was made from.
        texts: what :func:`evaluate_text` gave, for limits of figures over a text.
        settings: store and caches; those of the environment by default.

    Returns:
        A sentence for each.

    Raises:
        RequirementFailed: some are not met; names each with its figure.
        UsageError: a limit that cannot be read, or of a figure over a text without one.
        ToolkitError: a task cannot be scored.
    """
    from toolkit.evaluate.requirements import check_readable

    said: list[str] = []
    failed: list[str] = []
    for limit in check_readable(requirements, with_text=texts is not None):
        theirs: float | None = None
        if limit.over_text:
            assert texts is not None
            own = float(getattr(texts, limit.name).value)
            if limit.of_source and texts.source_perplexity is not None:
                theirs = texts.source_perplexity.value
        else:
            own = _task_score(artifact, limit.name, settings)
            theirs = _task_score(source, limit.name, settings) if limit.of_source else None
        sentence = f"{limit}: {own:.4f}" + (f", the source's is {theirs:.4f}" if theirs is not None else "")
        (said if limit.met_by(own, theirs) else failed).append(sentence)
    if failed:
        raise RequirementFailed(
            f"does not reach what was asked of it ({'; '.join(failed)})",
            subject=artifact.name,
            next_step=f"Use more bits or another algorithm. The artifact is in {artifact.path}.",
        )
    return said


def check_measurable(requirements: Sequence[str], *, text: Path | None) -> None:
    """Look at limits before hours of work: that they can be read, and that text, tasks and data are there.

    Args:
        requirements: as of :func:`check_requirements`.
        text: over which figures will be taken.

    Raises:
        UsageError: a limit or the text cannot be read, or the harness is not installed.
        EvaluationError: a task that is unknown or without data.
    """
    from toolkit.evaluate.requirements import check_readable

    if text is not None:
        from toolkit.evaluate.text import readable

        readable(text)
    limits = check_readable(requirements, with_text=text is not None)
    tasks = dict.fromkeys(limit.name for limit in limits if not limit.over_text)
    if tasks:
        fetch_tasks(TaskRequest.of(tasks=",".join(tasks)))


def _task_score(target: Artifact | str, task: str, settings: Settings | None) -> float:
    """The main score of one task."""
    figures = evaluate_tasks(target, task, settings=settings)
    # A path of a YAML file names one task, a group is a score of its own.
    main = figures.main_scores()
    return next((one.value for one in main if one.task == task), main[0].value)
