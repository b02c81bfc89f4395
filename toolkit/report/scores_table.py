"""The table of stored scores: what the models of a report were asked."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from toolkit.evaluate.tasks.task_scores import main_scores
from toolkit.report.runs_table import Cell, Column
from toolkit.report.unique_names import Names
from toolkit.store.evaluations import evaluations_of
from toolkit.store.rows import SOURCE_SHA256, Artifact, Evaluation, Score
from toolkit.store.short_names import model_names, refined
from toolkit.store.store import Store

COLUMNS = (
    Column("Task"),
    Column("Shots", numeric=True),
    Column("Metric"),
    Column("Model"),
    Column("Quantization"),
    Column("Engine"),
    Column("Asked on"),
    Column("Score", numeric=True),
    Column("Standard error", numeric=True),
    Column("Items", numeric=True),
)

TEXT = (
    "What these models were asked, by `slm evaluate`: the latest score of each at each place, the best "
    "first. `slm results scores TASK` ranks those of the very same items, and compares them item by item."
)

# All figures over a text stand side by side; of a task's metrics one stands for it.
_TEXT = "text:"
_HASH_LENGTH = 6


@dataclass(frozen=True)
class ScoredModel:
    """A score, and whose it is.

    Attributes:
        evaluation: that it was taken in.
        score: the latest of this model at this place.
        artifact: the one of the report's that was asked; None for another, or a model in transformers.
    """

    evaluation: Evaluation
    score: Score
    artifact: Artifact | None


def read_scores(store: Store, artifacts: Iterable[Artifact], *, every: bool) -> list[ScoredModel]:
    """The latest score of each model on each task, by task.

    Args:
        store: where they are.
        artifacts: those of the report's runs; models in transformers are theirs if they are called the same.
        every: whether scores of other models are shown, too.
    """
    known = {one.sha256: one for one in artifacts}
    models = {one.model for one in known.values()}
    found: dict[tuple[object, ...], ScoredModel] = {}
    for stored in evaluations_of(store):
        one = stored.evaluation
        own = one.model in models if one.artifact_sha256 is None else one.artifact_sha256 in known
        if not (own or every):
            continue
        for score in _shown(stored.scores):
            what = (score.task, score.version, score.shots, score.metric, score.filter, score.items_sha256)
            whose = (one.model_identity, one.quantization, one.place_identity, one.truncated)
            found.setdefault((what, whose), ScoredModel(one, score, known.get(one.artifact_sha256 or "")))
    return sorted(found.values(), key=_order)


def rows(scores: Sequence[ScoredModel], names: Names) -> list[Sequence[Cell]]:
    """Each score's row, in the order of ``COLUMNS``; no two say the same of what is not the same."""
    evaluations = [one.evaluation for one in scores]
    models = model_names([*names.models, *(one.model for one in evaluations)])
    quantizations = _quantizations(scores, names)
    places = refined(
        {(one.place_identity, one.place): one for one in evaluations},
        lambda one: one.place,
        (lambda one: f"[{hashlib.sha256(one.place_identity.encode()).hexdigest()[:_HASH_LENGTH]}]",),
    )
    labels = [
        (
            one.score.task,
            str(one.score.shots),
            _metric(one),
            models[one.evaluation.model],
            quantizations[_whose(one.evaluation)],
            one.evaluation.backend,
            places[one.evaluation.place_identity, one.evaluation.place],
        )
        for one in scores
    ]
    items = _items_told(scores, labels)
    return [
        (
            Cell(f"{task} ({told})" if told else task),
            Cell(shots, one.score.shots),
            *map(Cell, others),
            Cell(f"{one.score.value:.4f}", one.score.value),
            Cell("-") if one.score.stderr is None else Cell(f"{one.score.stderr:.4f}", one.score.stderr),
            Cell(str(one.score.n), one.score.n),
        )
        for one, (task, shots, *others), told in zip(scores, labels, items, strict=True)
    ]


def _metric(scored: ScoredModel) -> str:
    kept = "" if scored.score.filter == "none" else f" ({scored.score.filter})"
    return f"{scored.score.metric}{kept}{', prompts cut' if scored.evaluation.truncated else ''}"


def _whose(one: Evaluation) -> tuple[str, str, str]:
    """What tells the model from all others, and its numbers' type, which transformers may choose."""
    return one.model, one.model_identity, one.quantization


def _quantizations(scores: Sequence[ScoredModel], names: Names) -> dict[tuple[str, str, str], str]:
    """A quantization's name by whose it is: with a hash where models of one name and engine share it."""
    alike: dict[tuple[str, str], dict[tuple[str, str, str], ScoredModel]] = defaultdict(dict)
    for scored in scores:
        one = scored.evaluation
        alike[one.model, one.backend][_whose(one)] = scored
    found: dict[tuple[str, str, str], str] = {}
    for group in alike.values():
        found |= refined(
            group,
            lambda one: names.quantization(one.artifact) if one.artifact else one.evaluation.quantization,
            (lambda one: _hash(one.evaluation, _HASH_LENGTH), lambda one: _hash(one.evaluation, None)),
        )
    return found


def _hash(one: Evaluation, length: int | None) -> str:
    """The artifact's, or of a model in transformers that of its weights, which older rows lack."""
    if one.artifact_sha256 is not None:
        return f"artifact {one.artifact_sha256[:length]}"
    return f"weights {one.versions[SOURCE_SHA256][:length] if SOURCE_SHA256 in one.versions else 'unknown'}"


def _items_told(scores: Sequence[ScoredModel], labels: Sequence[Sequence[str]]) -> list[str]:
    """For rows of equal labels and as many items, what else the scores are of; empty for the others."""
    shown = ["\t".join((*label, str(one.score.n))) for one, label in zip(scores, labels, strict=True)]
    told = refined(
        dict(enumerate(zip(shown, scores, strict=True))),
        lambda row: row[0],
        (
            lambda row: f"version {row[1].score.version}",
            lambda row: f"items {row[1].score.items_sha256[:_HASH_LENGTH]}",
        ),
    )
    return [told[number].removeprefix(label).strip() for number, label in enumerate(shown)]


def _shown(scores: Sequence[Score]) -> Iterator[Score]:
    yield from (one for one in scores if one.task.startswith(_TEXT))
    yield from (one for one in main_scores(scores) if not one.task.startswith(_TEXT))


def _order(scored: ScoredModel) -> tuple[object, ...]:
    one, score = scored.evaluation, scored.score
    better = score.value if score.higher_is_better is False else -score.value
    return (score.task, score.shots, score.metric, score.items_sha256, better, one.model, one.quantization)
