"""What an artifact or a model knows; figures are stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.api.measuring import open_store
from toolkit.artifact import Artifact
from toolkit.evaluate.request import NeedleRequest, TaskRequest, TextRequest
from toolkit.progress import bar
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.evaluate.needle.needle_scores import NeedleFigures
    from toolkit.evaluate.tasks.task_scores import TaskFigures
    from toolkit.evaluate.text import TextFigures


def evaluate_text(
    target: Artifact | Path | str,
    text: Path | str | None = None,
    request: TextRequest | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> TextFigures:
    """Perplexity over a text, and how far an artifact's predictions are from its source's; it is stored.

    Args:
        target: an artifact or its folder, or a model: hub id, folder, .gguf file or random:NAME.
        text: the file, in UTF-8.
        request: how; fields can be given as options instead, such as ``window=1024``.
        settings: caches; those of the environment by default.
        options: fields of :class:`TextRequest`; they win over the request's.

    Raises:
        ToolkitError: see `toolkit.evaluate.text`.
    """
    given = ({} if request is None else dict(request)) | ({} if text is None else {"text": Path(text)})
    asked = TextRequest.of(**{**given, **options})
    settings = settings or Settings.from_environment()
    from toolkit.export.quiet import hush_libraries

    hush_libraries()
    from toolkit.evaluate.stored.run import keep_text
    from toolkit.evaluate.subject import subject_of

    subject = subject_of(_named(target), settings)
    # Opened before the work: a store that cannot be used shows now, not after hours of it.
    with open_store(settings.store_url) as store, bar(f"evaluate {subject.name}", unit="windows") as progress:
        return keep_text(subject, asked, settings, store, progress=progress)


def evaluate_tasks(
    target: Artifact | Path | str,
    tasks: str | None = None,
    request: TaskRequest | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> TaskFigures:
    """Scores of tasks of EleutherAI's harness, or of one's own; they are stored.

    Args:
        target: as in :func:`evaluate_text`.
        tasks: names with commas, or a preset.
        request: how; fields can be given as options instead, such as ``shots=5``.
        settings: caches; those of the environment by default.
        options: fields of :class:`TaskRequest`; they win over the request's.

    Raises:
        ToolkitError: see `toolkit.evaluate.tasks.run`.
    """
    given = ({} if request is None else dict(request)) | ({} if tasks is None else {"tasks": tasks})
    asked = TaskRequest.of(**{**given, **options})
    settings = settings or Settings.from_environment()
    from toolkit.export.quiet import hush_libraries

    hush_libraries()
    from toolkit.evaluate.stored.run import keep_tasks
    from toolkit.evaluate.subject import subject_of

    subject = subject_of(_named(target), settings)
    with (
        open_store(settings.store_url) as store,
        bar(f"evaluate {subject.name}", unit="questions") as progress,
    ):
        return keep_tasks(subject, asked, settings, store, progress=progress)


def evaluate_needle(
    target: Artifact | Path | str,
    request: NeedleRequest | None = None,
    *,
    settings: Settings | None = None,
    **options: Any,
) -> NeedleFigures:
    """How well a model finds facts in long texts, over length and depth; it is stored.

    Args:
        target: as in :func:`evaluate_text`.
        request: how; fields can be given as options instead, such as ``lengths="512,1024"``.
        settings: caches; those of the environment by default.
        options: fields of :class:`NeedleRequest`; they win over the request's.

    Raises:
        ToolkitError: see `toolkit.evaluate.needle.run`.
    """
    asked = NeedleRequest.of(**{**({} if request is None else dict(request)), **options})
    settings = settings or Settings.from_environment()
    from toolkit.export.quiet import hush_libraries

    hush_libraries()
    from toolkit.evaluate.stored.run import keep_needles
    from toolkit.evaluate.subject import subject_of

    subject = subject_of(_named(target), settings)
    with (
        open_store(settings.store_url) as store,
        bar(f"evaluate {subject.name}", unit="questions") as progress,
    ):
        return keep_needles(subject, asked, settings, store, progress=progress)


def fetch_tasks(request: TaskRequest) -> tuple[list[str], Path]:
    """Bring the data of tasks onto this machine; gives the tasks and the folder that holds their data.

    Raises:
        ToolkitError: a task that is unknown or not to be had.
    """
    from toolkit.evaluate.tasks.run import fetch

    return fetch(request)


def _named(target: Artifact | Path | str) -> str:
    return str(target.path if isinstance(target, Artifact) else target)
