"""An evaluation as rows of the store."""

from __future__ import annotations

import time

from toolkit import __version__
from toolkit.evaluate.subject import Subject
from toolkit.evaluate.tasks.figures import TaskFigures
from toolkit.profiling.rows import artifact_row
from toolkit.store import new_run_id
from toolkit.store.rows import Evaluation, Score, ScoredItem, StoredEvaluation

TRANSFORMERS = "transformers"


def stored_evaluation(
    subject: Subject, figures: TaskFigures, place_identity: str
) -> tuple[StoredEvaluation, list[ScoredItem]]:
    """Rows of an evaluation, and of its items.

    Args:
        subject: the model.
        figures: what was measured.
        place_identity: what tells the place where it ran from all others.
    """
    artifact = artifact_row(subject.artifact.manifest) if subject.artifact is not None else None
    limit = figures.settings["limit"]
    evaluation = Evaluation(
        id=new_run_id(),
        created_unix_ns=time.time_ns(),
        toolkit_version=__version__,
        name=figures.target,
        model=artifact.model if artifact is not None else figures.target,
        artifact_sha256=figures.artifact_sha256,
        backend=artifact.backend if artifact is not None else TRANSFORMERS,
        quantization=artifact.quantization if artifact is not None else figures.where.split()[-1],
        size_bytes=artifact.size_bytes if artifact is not None else None,
        place=figures.where,
        place_identity=place_identity,
        item_limit=int(limit) if limit is not None else None,
        seed=int(figures.settings["seed"] or 0),
        truncated=bool(figures.settings["truncate"]),
        versions=figures.versions,
    )
    scores = tuple(Score(**one.model_dump()) for one in figures.scores)
    # Generated text can be filtered in several ways: one row holds all metrics of an item.
    merged: dict[tuple[str, int, str], dict[str, float]] = {}
    for item in figures.items:
        merged.setdefault((item.task, item.shots, item.key), {}).update(item.metrics)
    items = [ScoredItem(task, shots, key, metrics) for (task, shots, key), metrics in merged.items()]
    return StoredEvaluation(evaluation, scores), items
