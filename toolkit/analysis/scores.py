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
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from toolkit.analysis.statistics import Interval, percentile_interval
from toolkit.store.evaluations import evaluations_of, items_of
from toolkit.store.rows import Evaluation, Score
from toolkit.store.store import Store

_DRAWS = 2000
# Below this a difference is one.
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Paired:
    """How a model's items differ from those of the best one.

    Attributes:
        items: how many both have.
        difference: mean over items, ours less theirs.
        interval: of that, by drawing items.
        p_value: of no difference.
    """

    items: int
    difference: float
    interval: Interval
    p_value: float


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
    is the best.
    """

    task: str
    shots: int
    metric: str
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
    latest: dict[tuple[object, ...], tuple[Evaluation, Score]] = {}
    for stored in reversed(evaluations_of(store, task)):
        one = stored.evaluation
        if model is not None and model.casefold() not in one.model.casefold():
            continue
        for score in stored.scores:
            if metric is None or score.metric == metric:
                what = (one.artifact_sha256 or one.name, one.quantization, one.place_identity)
                latest[(*what, *_conditions(score))] = (one, score)
    groups: dict[tuple[object, ...], list[tuple[Evaluation, Score]]] = defaultdict(list)
    for evaluation, score in latest.values():
        groups[_conditions(score)].append((evaluation, score))
    return [_ranking(store, members, seed) for members in groups.values()]


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
    differences = [ours[key][metric] - theirs[key][metric] for key in keys]
    chance = random.Random(seed)
    drawn = [fmean(chance.choices(differences, k=len(differences))) for _ in range(_DRAWS)]
    return Paired(
        items=len(keys),
        difference=fmean(differences),
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


def _ranking(store: Store, members: list[tuple[Evaluation, Score]], seed: int) -> ScoreRanking:
    first = members[0][1]
    shown = first.metric if first.filter == "none" else f"{first.metric} ({first.filter})"
    if first.higher_is_better is None:
        by_name = sorted(members, key=lambda one: one[0].name)
        listed = tuple(ScorePlace(evaluation, score, None) for evaluation, score in by_name)
        return ScoreRanking(first.task, first.shots, shown, listed, ranked=False)
    ordered = sorted(members, key=lambda one: one[1].value, reverse=first.higher_is_better)
    best, _ = ordered[0]
    theirs = items_of(store, best.id, first.task, first.shots)
    name = f"{first.metric},{first.filter}"
    places = []
    for evaluation, score in ordered:
        compared = None
        if evaluation is not best:
            ours = items_of(store, evaluation.id, score.task, score.shots)
            compared = paired(ours, theirs, name, seed)
        places.append(ScorePlace(evaluation, score, compared))
    return ScoreRanking(first.task, first.shots, shown, tuple(places))


def _conditions(score: Score) -> tuple[object, ...]:
    """What two scores must share to be ranked."""
    return score.task, score.version, score.shots, score.metric, score.filter, score.items_sha256
