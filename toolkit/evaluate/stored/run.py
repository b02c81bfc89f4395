"""Evaluating and keeping what came of it, in one step: for the API, and for recipes."""

from __future__ import annotations

from toolkit.evaluate.needle.needle_scores import NeedleFigures
from toolkit.evaluate.needle.run import evaluate_needle
from toolkit.evaluate.on_device.asking import place_of, where
from toolkit.evaluate.request import NeedleRequest, PlacedRequest, TaskRequest, TextRequest
from toolkit.evaluate.stored.score_rows import needle_rows, task_rows, text_rows
from toolkit.evaluate.subject import Subject, source_of, subject_of_source
from toolkit.evaluate.tasks.run import evaluate_tasks, placed_here
from toolkit.evaluate.tasks.task_scores import TaskFigures
from toolkit.evaluate.text import TextFigures, evaluate_text
from toolkit.progress import ProgressCallback, silent
from toolkit.settings import Settings
from toolkit.store import new_run_id
from toolkit.store.evaluations import add_evaluation
from toolkit.store.store import Store


def keep_text(
    subject: Subject,
    request: TextRequest,
    settings: Settings,
    store: Store,
    *,
    identity: str | None = None,
    progress: ProgressCallback = silent,
) -> TextFigures:
    """Read a text with a model, an artifact beside its source unless the request says otherwise.

    Args:
        subject: the model.
        request: the text.
        settings: caches.
        store: gets the figures.
        identity: of the evaluation; a new one by default.
        progress: called with (windows done, windows).

    Raises:
        ToolkitError: see :mod:`toolkit.evaluate.text`.
    """
    source = None
    if subject.artifact is not None and request.compare:
        source = subject_of_source(source_of(subject.artifact, request.source, settings))
    figures = evaluate_text(subject, source, request, progress=progress)
    placed = PlacedRequest.of(dtype=request.dtype)
    there = where(subject, placed), place_of(subject, placed, settings)
    add_evaluation(store, *text_rows(subject, figures, there, identity or new_run_id()))
    return figures


def keep_tasks(
    subject: Subject,
    request: TaskRequest,
    settings: Settings,
    store: Store,
    *,
    identity: str | None = None,
    progress: ProgressCallback = silent,
) -> TaskFigures:
    """Run tasks on a model; arguments as those of :func:`keep_text`.

    Raises:
        ToolkitError: see :mod:`toolkit.evaluate.tasks.run`.
    """
    figures = evaluate_tasks(subject, request, settings, progress=progress)
    place = place_of(subject, placed_here(request), settings)
    add_evaluation(store, *task_rows(subject, figures, place, identity or new_run_id()))
    return figures


def keep_needles(
    subject: Subject,
    request: NeedleRequest,
    settings: Settings,
    store: Store,
    *,
    identity: str | None = None,
    progress: ProgressCallback = silent,
) -> NeedleFigures:
    """Ask for facts in long texts; arguments as those of :func:`keep_text`.

    Raises:
        ToolkitError: see :mod:`toolkit.evaluate.needle.run`.
    """
    figures = evaluate_needle(subject, request, settings, progress=progress)
    place = place_of(subject, request, settings)
    add_evaluation(store, *needle_rows(subject, figures, place, identity or new_run_id()))
    return figures
