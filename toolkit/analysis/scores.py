"""Ranking models by their scores, and comparing two of them item by item.

Two models that answer the same items are compared by their differences on each: that two intervals overlap
says little about paired answers. The test is McNemar's exact one where an item is right or wrong (Q. McNemar,
"Note on the sampling error of the difference between correlated proportions", 1947), else a randomization of
the differences' signs (R. A. Fisher, "The design of experiments", 1935, section 21).
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from toolkit.analysis.item_figures import ItemValues
from toolkit.analysis.statistics import Interval, percentile_interval
from toolkit.store.evaluations import evaluations_of, items_of, items_of_group
from toolkit.store.rows import Evaluation, Score
from toolkit.store.store import Store

_DRAWS = 2000
# Means of items are what the harness made of them but for rounding.
_SAME_MEAN = 1e-6
# Below this a difference is one.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Paired:
    """How a model's items differ from those of the best one.

    Attributes:
        items: how many both have.
        difference: of what the items come to, ours less theirs: of means, or of perplexities.
        interval: of that, by drawing items.
        p_value: of no difference.
    """

    items: int
    difference: float
    interval: Interval
    p_value: float


Scored = tuple[Evaluation, Score]


@dataclass(frozen=True)
class ScorePlace:
    """A place in a ranking; ``paired`` is None for the best, without one, and where items are not kept."""

    evaluation: Evaluation
    score: Score
    paired: Paired | None


@dataclass(frozen=True)
class ScoreRanking:
    """Models on the very same items of a task, the best first.

    ``ranked`` is False where nobody says whether more of the metric is better: they come by name, and none
    is the best. ``truncated`` says that prompts which did not fit were cut.
    """

    task: str
    shots: int
    metric: str
    truncated: bool
    places: tuple[ScorePlace, ...]
    ranked: bool = True


def rank_scores(
    store: Store, task: str, *, metric: str | None = None, model: str | None = None, seed: int = 0
) -> list[ScoreRanking]:
    """Rank all that was evaluated on a task; of the same model, artifact and place the latest counts.

    Args:
        store: where evaluations are.
        task: its name.
        metric: one of its metrics; None ranks by each.
        model: only this model's artifacts, by a part of its name.
        seed: of the draws.
    """
    chosen = [
        (evaluation, score)
        for evaluation, score in _all_scores(store, task)
        if (metric is None or score.metric == metric)
        and (model is None or model.casefold() in evaluation.model.casefold())
    ]
    return [_ranking(store, members, seed) for members in latest_of_each(chosen)]


def scores_of_artifacts(store: Store, sha256s: Collection[str]) -> list[list[Scored]]:
    """The latest scores of some artifacts, those together that were taken under the same conditions."""
    return latest_of_each(one for one in _all_scores(store) if one[0].artifact_sha256 in sha256s)


def latest_of_each(scores: Iterable[Scored]) -> list[list[Scored]]:
    """The last one of each model and place, those together that were taken under the same conditions.

    Args:
        scores: the earliest first.
    """
    latest: dict[tuple[object, ...], Scored] = {}
    for one, score in scores:
        what = (one.model_identity, one.quantization, one.place_identity)
        latest[(*what, *_conditions(one, score))] = (one, score)
    groups: dict[tuple[object, ...], list[Scored]] = defaultdict(list)
    for evaluation, score in latest.values():
        groups[_conditions(evaluation, score)].append((evaluation, score))
    return list(groups.values())


def paired_scores(store: Store, ours: Scored, theirs: Scored, seed: int = 0) -> Paired | None:
    """Compare two scores item by item; None where items of one are not kept."""
    name = f"{ours[1].metric},{ours[1].filter}"
    return paired(_items(store, *ours), _items(store, *theirs), name, seed)


def score_name(score: Score) -> str:
    """A metric with what was done to the text before."""
    return score.metric if score.filter == "none" else f"{score.metric} ({score.filter})"


def paired(
    ours: dict[str, dict[str, float]], theirs: dict[str, dict[str, float]], metric: str, seed: int = 0
) -> Paired | None:
    """Compare two models on the items that both have; None where they have none in common.

    Args:
        ours: metrics by item.
        theirs: those of the other model.
        metric: as items call it: "acc,none".
        seed: of the draws.
    """
    keys = sorted(key for key in ours.keys() & theirs.keys() if metric in ours[key] and metric in theirs[key])
    if not keys:
        return None
    mine, others = (ItemValues.of([one[key] for key in keys], metric) for one in (ours, theirs))
    chance = random.Random(seed)
    drawn = []
    for _ in range(_DRAWS):
        chosen = chance.choices(range(len(keys)), k=len(keys))
        drawn.append(mine.figure(chosen) - others.figure(chosen))
    # Of sums, so that a window of more tokens counts for more.
    differences = [one - other for one, other in zip(mine.totals, others.totals, strict=True)]
    return Paired(
        items=len(keys),
        difference=mine.figure() - others.figure(),
        interval=percentile_interval(drawn),
        p_value=p_value(differences, chance),
    )


def p_value(differences: Sequence[float], chance: random.Random) -> float:
    """How often items without any difference but chance come out as far apart, two-sided."""
    apart = [one for one in differences if one != 0]
    if not apart:
        return 1.0
    if all(abs(one) == 1 for one in apart):
        fewer = min(apart.count(1.0), apart.count(-1.0))
        tail: float = sum(math.comb(len(apart), k) for k in range(fewer + 1)) / 2 ** len(apart)
        return min(1.0, 2 * tail)
    observed = abs(math.fsum(apart))
    extreme = sum(
        abs(math.fsum(one if chance.random() < 0.5 else -one for one in apart)) >= observed - 1e-12
        for _ in range(_DRAWS)
    )
    # The observed signs are one of the possible ones.
    return (extreme + 1) / (_DRAWS + 1)


def _all_scores(store: Store, task: str | None = None) -> Iterator[Scored]:
    """Scores with their evaluations, the earliest first."""
    for stored in reversed(evaluations_of(store, task)):
        for score in stored.scores:
            yield stored.evaluation, score


def _ranking(store: Store, members: list[Scored], seed: int) -> ScoreRanking:
    some, first = members[0]
    said = (first.task, first.shots, score_name(first), some.truncated)
    if first.higher_is_better is None:
        by_name = sorted(members, key=lambda one: one[0].name)
        listed = tuple(ScorePlace(evaluation, score, None) for evaluation, score in by_name)
        return ScoreRanking(*said, listed, ranked=False)
    ordered = sorted(members, key=lambda one: one[1].value, reverse=first.higher_is_better)
    best = ordered[0]
    places = [
        ScorePlace(*one, None if one is best else paired_scores(store, one, best, seed)) for one in ordered
    ]
    return ScoreRanking(*said, tuple(places))


def _items(store: Store, evaluation: Evaluation, score: Score) -> dict[str, dict[str, float]]:
    """A score's items, of a group those of its tasks: they are its when they come to it."""
    own = items_of(store, evaluation.id, score.task, score.shots)
    if own:
        return own
    of_group = items_of_group(store, evaluation.id, score.task, score.shots)
    name = f"{score.metric},{score.filter}"
    having = [metrics for metrics in of_group.values() if name in metrics]
    if not having or len(having) != score.n:
        return {}
    figure = ItemValues.of(having, name).figure()
    return of_group if math.isclose(figure, score.value, abs_tol=_SAME_MEAN) else {}


def _conditions(evaluation: Evaluation, score: Score) -> tuple[object, ...]:
    """What two scores must share to be ranked."""
    what = (score.task, score.version, score.shots, score.metric, score.filter, score.items_sha256)
    return (*what, evaluation.truncated)
