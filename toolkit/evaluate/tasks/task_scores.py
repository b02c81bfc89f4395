"""Scores of tasks, and what they were taken under."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from pydantic import Field

from toolkit.analysis.item_figures import ROLLING, weighted
from toolkit.artifact import Frozen
from toolkit.evaluate.on_device.sampled import Sampled
from toolkit.evaluate.tasks.presets import group_means

# Of several metrics, the one that stands for a task.
_MAIN = ("acc", "exact_match", "math_verify", "f1", "word_perplexity")


class TaskScore(Frozen):
    """One metric of a task.

    Attributes:
        version: of the task, as its file says.
        shots: examples in the prompt.
        metric, filter: as the harness calls them; the filter is what was done to generated text.
        stderr: standard error; None where the harness gives none.
        n: items.
        items_sha256: over documents, prompts and targets: equal for the same items alone.
    """

    task: str
    version: str
    shots: int
    metric: str
    filter: str
    value: float
    stderr: float | None
    n: int
    higher_is_better: bool | None
    items_sha256: str


class Item(Frozen):
    """One item of a task with its metrics; ``key`` is a hash over document, prompt and target."""

    task: str
    shots: int
    key: str
    metrics: dict[str, float]


class TaskFigures(Frozen):
    """What an evaluation gave.

    Attributes:
        target: the model; ``artifact_sha256`` None for one in transformers.
        where: what answered: "transformers fp32", or a device.
        means: the survey's group means, where all of a group's tasks are there.
        settings: limit, seed, and whether prompts were cut.
        versions: of harness, data sets' library, and engine.
        asked, answered: different questions, and those of them that were not known from before.
        left_out: metrics that came out as no number, like "task acc,none: nan"; they are no scores.
        sampled: how the answers to some of them differ on a device; None where that was not asked.
    """

    target: str
    artifact_sha256: str | None
    where: str
    scores: list[TaskScore]
    means: dict[str, float]
    settings: dict[str, int | bool | None]
    versions: dict[str, str]
    asked: int
    answered: int
    seconds: float
    sampled: Sampled | None = None
    left_out: list[str] = Field(default_factory=list)
    items: list[Item] = Field(default_factory=list, repr=False)

    def main_scores(self) -> list[TaskScore]:
        """The metric that stands for each task, per number of shots."""
        return main_scores(self.scores)


class Scored(Protocol):
    """What a score is known by, fresh or stored."""

    @property
    def task(self) -> str:
        """Its task."""

    @property
    def shots(self) -> int:
        """Examples in the prompt."""

    @property
    def metric(self) -> str:
        """As the harness calls it."""


S = TypeVar("S", bound=Scored)


def main_scores(scores: Iterable[S]) -> list[S]:
    """The metric that stands for each task, per number of shots."""
    found: dict[tuple[str, int], S] = {}
    for score in scores:
        before = found.get((score.task, score.shots))
        if before is None or _rank(score.metric) < _rank(before.metric):
            found[score.task, score.shots] = score
    return list(found.values())


def scores_of(results: Mapping[str, Any]) -> list[TaskScore]:
    """All metrics in the harness's results that are numbers, groups' included."""
    items = items_of(results)
    found = []
    for task, row in _rows(results):
        members = _members(task, results)
        shots = {int(results["n-shot"][one]) for one in members if one in results["n-shot"]}
        keys = [item.key for item in items if item.task in members]
        for metric, kept, value in _metrics(row):
            if not math.isfinite(value):
                continue
            found.append(
                TaskScore(
                    task=task,
                    version=str(results.get("versions", {}).get(task, "unknown")),
                    shots=max(shots, default=0),
                    metric=metric,
                    filter=kept,
                    value=value,
                    stderr=_number(row.get(f"{metric}_stderr,{kept}")),
                    n=sum(results["n-samples"][one]["effective"] for one in members),
                    higher_is_better=_better(results.get("higher_is_better", {}).get(task, {}), metric),
                    items_sha256=hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest(),
                )
            )
    return found


def left_out_of(results: Mapping[str, Any]) -> list[str]:
    """The metrics in the harness's results that are infinite, or that it could not compute."""
    return [
        f"{task} {metric},{kept}: {value}"
        for task, row in _rows(results)
        for metric, kept, value in _metrics(row)
        if not math.isfinite(value)
    ]


def _rows(results: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield from {**results["results"], **results.get("groups", {})}.items()


def _metrics(row: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    """Metric, filter and value."""
    for name, value in row.items():
        metric, _, kept = name.partition(",")
        if kept and not metric.endswith("_stderr") and isinstance(value, int | float):
            yield metric, kept, float(value)


def items_of(results: Mapping[str, Any]) -> list[Item]:
    """Items with those of their metrics that are numbers."""
    found = []
    for task, samples in results["samples"].items():
        shots = int(results["n-shot"][task])
        for sample in samples:
            said = f"{sample['doc_hash']} {sample['prompt_hash']} {sample['target_hash']}"
            metrics: dict[str, float] = {}
            for name in sample["metrics"]:
                metrics |= _item_metric(f"{name},{sample['filter']}", sample[name])
            key = hashlib.sha256(said.encode()).hexdigest()[:32]
            found.append(Item(task=task, shots=shots, key=key, metrics=metrics))
    return found


def _item_metric(name: str, value: Any) -> dict[str, float]:
    """A metric of an item as it is kept: a number, or of a whole text what perplexities are made of."""
    if (number := _number(value)) is not None:
        return {name: number}
    if name.partition(",")[0] in ROLLING and isinstance(value, tuple | list) and len(value) == 2:
        log_likelihood, parts = map(_number, value)
        if log_likelihood is not None and parts:
            return weighted(name, -log_likelihood, parts)
    return {}


def means_of(scores: Sequence[TaskScore]) -> dict[str, float]:
    """The survey's means, over each task's main metric."""
    main = {}
    for score in sorted(scores, key=lambda one: _rank(one.metric), reverse=True):
        main[score.task] = score.value
    return group_means(main)


def _members(task: str, results: Mapping[str, Any]) -> list[str]:
    """The tasks with items that a name stands for."""
    return list(_leaves(task, results.get("group_subtasks", {}), set(results["n-samples"])))


def _leaves(task: str, children: Mapping[str, Sequence[str]], leaves: set[str]) -> Iterator[str]:
    if task in leaves:
        yield task
        return
    for child in children.get(task, []):
        yield from _leaves(child, children, leaves)


def _better(directions: Any, metric: str) -> bool | None:
    value = directions.get(metric) if isinstance(directions, Mapping) else None
    return value if isinstance(value, bool) else None


def _rank(metric: str) -> int:
    return _MAIN.index(metric) if metric in _MAIN else len(_MAIN)


def _number(value: Any) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None
