"""The table of stored scores: what the models of a report were asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from toolkit.evaluate.tasks.task_scores import main_scores
from toolkit.report.runs_table import Cell, Column
from toolkit.report.unique_names import Names
from toolkit.store.evaluations import evaluations_of
from toolkit.store.rows import Artifact, Evaluation, Score
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


def cells(scored: ScoredModel, names: Names) -> Sequence[Cell]:
    """One row, in the order of ``COLUMNS``."""
    one, score, artifact = scored.evaluation, scored.score, scored.artifact
    kept = "" if score.filter == "none" else f" ({score.filter})"
    cut = ", prompts cut" if one.truncated else ""
    return (
        Cell(score.task),
        Cell(str(score.shots), score.shots),
        Cell(f"{score.metric}{kept}{cut}"),
        Cell(names.model(artifact) if artifact else one.model.rpartition("/")[2]),
        Cell(names.quantization(artifact) if artifact else one.quantization),
        Cell(one.backend),
        Cell(one.place),
        Cell(f"{score.value:.4f}", score.value),
        Cell("-") if score.stderr is None else Cell(f"{score.stderr:.4f}", score.stderr),
        Cell(str(score.n), score.n),
    )


def _shown(scores: Sequence[Score]) -> Iterator[Score]:
    yield from (one for one in scores if one.task.startswith(_TEXT))
    yield from (one for one in main_scores(scores) if not one.task.startswith(_TEXT))


def _order(scored: ScoredModel) -> tuple[object, ...]:
    one, score = scored.evaluation, scored.score
    better = score.value if score.higher_is_better is False else -score.value
    return (score.task, score.shots, score.metric, score.items_sha256, better, one.model, one.quantization)
