"""Evaluations as rows of the store: tasks, texts and needles alike are scores of something."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from statistics import NormalDist

from toolkit import __version__
from toolkit.analysis.item_figures import weighted
from toolkit.evaluate.intervals import LEVEL, Estimate
from toolkit.evaluate.needle.haystack import KINDS
from toolkit.evaluate.needle.haystack import text as haystack
from toolkit.evaluate.needle.needle_scores import NeedleFigures
from toolkit.evaluate.on_device.sampled import Sampled
from toolkit.evaluate.requirements import TEXT_FIGURES
from toolkit.evaluate.subject import Subject, source_sha256
from toolkit.evaluate.tasks.task_scores import TaskFigures
from toolkit.evaluate.text import Sums, TextFigures
from toolkit.profiling.run_rows import artifact_row
from toolkit.store.evaluations import items_beginning
from toolkit.store.rows import SOURCE_SHA256, Evaluation, Score, ScoredItem, StoredEvaluation
from toolkit.store.store import Store

TRANSFORMERS = "transformers"
Rows = tuple[StoredEvaluation, list[ScoredItem]]

_LOWER_IS_BETTER = ("perplexity", "perplexity_ratio", "mean_kl")
# What a sample on a device stands under, before the device.
_SAMPLE = "sample:"
# The metric of needles: the share of questions answered.
FOUND = "found"


def task_rows(subject: Subject, figures: TaskFigures, place_identity: str, identity: str) -> Rows:
    """Rows of an evaluation on tasks, and of its items.

    Args:
        subject: the model.
        figures: what was measured.
        place_identity: what tells the place where it ran from all others.
        identity: of the evaluation.
    """
    limit = figures.settings["limit"]
    evaluation = _evaluation(
        subject,
        identity,
        (figures.where, place_identity),
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
    if figures.sampled is not None:
        items.append(_sample_item(figures.sampled))
    return StoredEvaluation(evaluation, scores), items


def sampled_of(store: Store, evaluation_id: str) -> Sampled | None:
    """How a sample on a device differed, of a stored evaluation; None where none was asked for."""
    for item in items_beginning(store, evaluation_id, _SAMPLE):
        found = item.metrics
        return Sampled(
            where=item.task.removeprefix(_SAMPLE),
            n=int(found["n"]),
            same=int(found["same"]),
            max_difference=found.get("max_difference"),
        )
    return None


def _sample_item(sampled: Sampled) -> ScoredItem:
    """One item: a sample has no score, which would be ranked and averaged with those of tasks."""
    metrics = {"n": float(sampled.n), "same": float(sampled.same)}
    if sampled.max_difference is not None:
        metrics["max_difference"] = sampled.max_difference
    return ScoredItem(f"{_SAMPLE}{sampled.where}", 0, "answers", metrics)


def text_rows(subject: Subject, figures: TextFigures, where: tuple[str, str], identity: str) -> Rows:
    """Rows of the figures over a text, by the name ``text:FILE``, and of its windows as items.

    Args:
        subject: the model.
        figures: what was measured.
        where: what answered, and what tells that from all others.
        identity: of the evaluation.
    """
    evaluation = _evaluation(subject, identity, where, versions=figures.versions)
    cut = [figures.window_tokens, figures.stride, figures.windows]
    items = _hash([figures.text_sha256, *cut, figures.token_ids_sha256])
    task = f"text:{figures.text}"
    scores = []
    for metric in TEXT_FIGURES:
        figure: Estimate | None = getattr(figures, metric)
        if figure is not None:
            scores.append(
                Score(
                    task=task,
                    version=f"window {figures.window_tokens}, stride {figures.stride}",
                    shots=0,
                    metric=metric,
                    filter="none",
                    value=figure.value,
                    stderr=_standard_error(figure),
                    n=figures.scored_tokens,
                    higher_is_better=metric not in _LOWER_IS_BETTER,
                    items_sha256=items,
                )
            )
    compared = figures.source is not None
    windows = [
        ScoredItem(task, 0, f"{number:06}", _window_metrics(one, compared))
        for number, one in enumerate(figures.sums)
    ]
    return StoredEvaluation(evaluation, tuple(scores)), windows


def _window_metrics(sums: Sums, compared: bool) -> dict[str, float]:
    """What the figures over a text are made of: two artifacts are compared window by window."""
    totals = {"perplexity": sums.nll}
    if compared:
        totals |= {"perplexity_ratio": sums.nll - sums.source_nll, "mean_kl": sums.kl}
        totals |= {"top1_agreement": sums.top1, "top5_agreement": sums.top5}
    found: dict[str, float] = {}
    for metric, total in totals.items():
        found |= weighted(f"{metric},none", total, sums.tokens)
    return found


def needle_rows(subject: Subject, figures: NeedleFigures, place_identity: str, identity: str) -> Rows:
    """Rows of needles, by the name ``needle:KIND``, and of each cell of the grid as an item.

    Args:
        subject: the model.
        figures: what was measured.
        place_identity: what tells the place where it ran from all others.
        identity: of the evaluation.
    """
    evaluation = _evaluation(
        subject, identity, (figures.where, place_identity), seed=figures.seed, versions=figures.versions
    )
    grid = sorted({(one.length, one.depth) for one in figures.scores})
    same = _hash([haystack(), grid, figures.trials, figures.seed])
    scores = [
        Score(
            task=f"needle:{kind}",
            version=f"{figures.trials} needles in each cell",
            shots=0,
            metric=FOUND,
            filter="none",
            value=figures.means[kind],
            stderr=None,
            n=sum(one.n for one in figures.scores if one.kind == kind),
            higher_is_better=True,
            items_sha256=same,
        )
        for kind in KINDS
    ]
    items = [
        ScoredItem(f"needle:{one.kind}", 0, f"{one.length} {one.depth:g}", {f"{FOUND},none": one.value})
        for one in figures.scores
    ]
    return StoredEvaluation(evaluation, tuple(scores)), items


def cells(items: Mapping[str, Mapping[str, float]]) -> Iterator[tuple[int, float, float]]:
    """Length, depth and share found of each cell, from the items of a stored grid."""
    for key, metrics in items.items():
        length, _, depth = key.partition(" ")
        yield int(length), float(depth), metrics[f"{FOUND},none"]


def _evaluation(
    subject: Subject,
    identity: str,
    where: tuple[str, str],
    *,
    item_limit: int | None = None,
    seed: int = 0,
    truncated: bool = False,
    versions: Mapping[str, str] | None = None,
) -> Evaluation:
    artifact = artifact_row(subject.artifact.manifest) if subject.artifact is not None else None
    place, place_identity = where
    model, hashes = subject.name, {}
    if artifact is not None:
        model = artifact.model
    elif subject.source is not None:
        # Folders of different models have the same name: checkpoint-500.
        model, hashes = subject.source.info.id, {SOURCE_SHA256: source_sha256(subject.source)}
    return Evaluation(
        id=identity,
        created_unix_ns=time.time_ns(),
        toolkit_version=__version__,
        name=subject.name,
        model=model,
        artifact_sha256=artifact.sha256 if artifact is not None else None,
        backend=artifact.backend if artifact is not None else TRANSFORMERS,
        quantization=artifact.quantization if artifact is not None else place.split()[-1],
        size_bytes=artifact.size_bytes if artifact is not None else None,
        place=place,
        place_identity=place_identity,
        item_limit=item_limit,
        seed=seed,
        truncated=truncated,
        versions={**(versions or {}), **hashes},
    )


def _standard_error(figure: Estimate) -> float | None:
    """What a normal distribution with this interval has; None where there is no interval."""
    if figure.low is None or figure.high is None:
        return None
    return (figure.high - figure.low) / (2 * NormalDist().inv_cdf((1 + LEVEL) / 2))


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
