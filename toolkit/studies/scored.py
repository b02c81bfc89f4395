"""What studies of models' abilities share: scores of one artifact, wherever its evaluations were taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import log2
from statistics import fmean

from toolkit.analysis.findings import Draw
from toolkit.engines import short_name
from toolkit.evaluate.tasks.presets import group_means
from toolkit.evaluate.tasks.task_scores import main_scores
from toolkit.models.catalogue.entry import Entry
from toolkit.store.rows import Evaluation, Score
from toolkit.store.short_names import model_names, refined
from toolkit.studies.data import StudyData

# The survey's mean where all of its tasks are there, else that of the tasks that are.
OVERALL = "Acc(Avg)"
_HASH_LENGTH = 6


@dataclass(frozen=True)
class Scored:
    """One artifact at one place, with everything that was asked of it.

    Attributes:
        model: its name in the catalogue, or the source's own.
        entry: of the catalogue, where it has one.
        evaluation: the latest of its evaluations, for what they have in common.
        scores: the main one of each task and number of shots.
        parameters: unique ones.
        evaluation_ids: all of them, the latest first.
        told: what tells it from artifacts of the same model and quantization at the same place.
    """

    model: str
    entry: Entry | None
    evaluation: Evaluation
    scores: tuple[Score, ...]
    parameters: int
    evaluation_ids: tuple[str, ...]
    told: str = ""

    @property
    def series(self) -> str:
        """What tells it from the same model in another form or at another place."""
        one = self.evaluation
        return f"{one.backend} {one.quantization} on {one.place}"

    @property
    def label(self) -> str:
        """Model and quantization, and what else it takes to tell it from others."""
        return f"{self.model} {self.evaluation.quantization} {self.told}".strip()

    @property
    def tasks(self) -> list[str]:
        """What it was asked."""
        return sorted({one.task for one in self.scores})

    def accuracy(self, task: str, shots: int | None = None) -> float | None:
        """The score of a task; with several numbers of shots that of the most, unless one is asked for."""
        found = [one for one in self.scores if one.task == task and shots in (None, one.shots)]
        return max(found, key=lambda one: one.shots).value if found else None

    def means(self) -> Mapping[str, float]:
        """The survey's group means as far as their tasks are there, and the mean of all under OVERALL."""
        values = {task: value for task in self.tasks if (value := self.accuracy(task)) is not None}
        means = dict(group_means(values))
        if values:
            means.setdefault(OVERALL, fmean(values.values()))
        return means


def scored(data: StudyData) -> list[Scored]:
    """Every artifact that something was asked of, the smallest model first."""
    sizes = {
        str(one.result["evaluation"]): int(one.result["unique_parameters"])
        for one in data.records
        if one.result and "evaluation" in one.result
    }
    groups: dict[tuple[object, ...], list[tuple[Evaluation, Sequence[Score]]]] = defaultdict(list)
    for stored in data.evaluations:
        one = stored.evaluation
        groups[one.artifact_sha256, one.name, one.place_identity].append((one, stored.scores))
    found = []
    for members in groups.values():
        evaluation = members[0][0]
        entry = data.catalogue.find(evaluation.model)
        found.append(
            Scored(
                model=entry.name if entry else evaluation.model,
                entry=entry,
                evaluation=evaluation,
                scores=tuple(main_scores(score for _, scores in members for score in scores)),
                parameters=sizes[evaluation.id],
                evaluation_ids=tuple(one.id for one, _ in members),
            )
        )
    return sorted(told_apart(found), key=lambda one: (one.parameters, one.label, one.series))


def told_apart(found: Sequence[Scored]) -> list[Scored]:
    """The same, with short names of models, and with a label of its own for each artifact of a place."""
    models = model_names(one.model for one in found)
    named = [replace(one, model=models[one.model]) for one in found]
    labels: dict[int, str] = {}
    for _, some in by_place(named):
        labels |= refined(
            {id(one): one for one in some},
            lambda one: one.label,
            (
                lambda one: short_name(one.evaluation.backend),
                lambda one: f"artifact {(one.evaluation.artifact_sha256 or '')[:_HASH_LENGTH]}",
            ),
        )
    return [replace(one, told=labels[id(one)].removeprefix(one.label).strip()) for one in named]


def by_place(found: Sequence[Scored]) -> Iterator[tuple[str, list[Scored]]]:
    """What answered at one place, with the place's name."""
    places: dict[str, list[Scored]] = defaultdict(list)
    for one in found:
        places[one.evaluation.place].append(one)
    yield from places.items()


def task_words(found: Sequence[Scored]) -> str:
    """The tasks that these were asked, in words."""
    names = sorted({task for one in found for task in one.tasks})
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def per_doubling(draw: Draw, name: str) -> float | None:
    """Percentage points that a share rises by for twice the x; None where all x are one."""
    xs = [log2(x) for x, _ in draw]
    if len(set(xs)) < 2:
        return None
    middle = fmean(xs)
    spread = sum((x - middle) ** 2 for x in xs)
    return 100 * sum((x - middle) * one[name] for x, (_, one) in zip(xs, draw, strict=True)) / spread
