"""Models are ranked on the very same items only, and compared item by item."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
import stored_evaluations

from toolkit.analysis.item_figures import ItemValues, weighted
from toolkit.analysis.scores import p_value, paired, rank_scores
from toolkit.analysis.two_artifacts import compare_scores
from toolkit.store import open_store
from toolkit.store.evaluations import add_evaluation, evaluations_of, items_of, scored_tasks
from toolkit.store.rows import SOURCE_SHA256, ScoredItem, StoredEvaluation

EVALUATION = replace(stored_evaluations.EVALUATION, id="a1", name="m-fp32", quantization="fp32")
SCORE = replace(stored_evaluations.SCORE, task="task", shots=5, value=0.75, stderr=0.1, n=40)


def right(count: int, of: int = 40) -> list[ScoredItem]:
    return [ScoredItem("task", 5, f"{i:032d}", {"acc,none": float(i < count)}) for i in range(of)]


def stored(number: int, quantization: str, value: float, **changes: object) -> StoredEvaluation:
    evaluation = replace(
        EVALUATION,
        id=f"e{number}",
        created_unix_ns=number,
        quantization=quantization,
        artifact_sha256=quantization[0] * 64,
        name=f"m-{quantization}",
    )
    return StoredEvaluation(evaluation, (replace(SCORE, value=value, **changes),))  # type: ignore[arg-type]


def test_what_was_stored_comes_back(store_url: str) -> None:
    with open_store(store_url) as store:
        one = StoredEvaluation(EVALUATION, (SCORE, replace(SCORE, metric="acc_norm", stderr=None)))
        add_evaluation(store, one, right(30))
        assert evaluations_of(store) == evaluations_of(store, "task") == [one]
        assert evaluations_of(store, "other") == []
        assert scored_tasks(store) == ["task"]
        assert items_of(store, "a1", "task", 5) == {item.key: item.metrics for item in right(30)}
        assert items_of(store, "a1", "task", 0) == {}


def test_the_latest_of_each_artifact_is_ranked_on_the_same_items_alone(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        add_evaluation(store, stored(1, "8da4w", 0.25), right(10))
        add_evaluation(store, stored(2, "fp32", 0.75), right(30))
        add_evaluation(store, stored(3, "8da4w", 0.5), right(20))
        add_evaluation(store, stored(4, "4w", 0.9, items_sha256="0" * 64), right(36))
        add_evaluation(store, stored(5, "mobile", 0.7, version="2.0"), right(28))
        rankings = rank_scores(store, "task")
        assert [[place.evaluation.id for place in ranking.places] for ranking in rankings] == [
            ["e2", "e3"],
            ["e4"],
            ["e5"],
        ]
        best, second = rankings[0].places
        assert best.paired is None and second.paired is not None
        assert second.paired.difference == -0.25
        assert second.paired.p_value == pytest.approx(2 / 2**10)
        assert second.paired.interval.low < -0.25 < second.paired.interval.high <= 0
        assert rank_scores(store, "task", model="other") == []


def test_lower_is_better_where_the_metric_says_so(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        add_evaluation(store, stored(1, "8da4w", 9.0, higher_is_better=False), [])
        add_evaluation(store, stored(2, "fp32", 7.0, higher_is_better=False), [])
        [ranking] = rank_scores(store, "task")
        assert [place.score.value for place in ranking.places] == [7.0, 9.0]
        assert ranking.places[1].paired is None, "no items were kept"


def test_mcnemars_test_is_the_exact_one() -> None:
    # Table of the binomial distribution: 2 of 12 discordant pairs, two-sided.
    differences = [1.0] * 2 + [-1.0] * 10 + [0.0] * 50
    assert p_value(differences, random.Random(0)) == pytest.approx(2 * (1 + 12 + 66) / 4096)
    assert p_value([0.0] * 9, random.Random(0)) == 1
    assert p_value([1.0, -1.0], random.Random(0)) == 1


def test_other_differences_are_judged_by_their_signs() -> None:
    chance = random.Random(3)
    half = [chance.gauss(0, 1) for _ in range(30)]
    none = [*half, *(-one for one in half)]
    some = [one + 0.8 for one in none]
    assert p_value(none, chance) == 1
    assert p_value(some, chance) < 0.01


def test_perplexities_are_compared_by_sums_over_tokens() -> None:
    """A window of nine times the tokens counts nine times."""
    ours = {"a": weighted("perplexity,none", 10.0, 10), "b": weighted("perplexity,none", 180.0, 90)}
    theirs = {"a": weighted("perplexity,none", 20.0, 10), "b": weighted("perplexity,none", 90.0, 90)}
    found = paired(ours, theirs, "perplexity,none")
    assert found is not None and found.items == 2
    assert found.difference == pytest.approx(math.exp(1.9) - math.exp(1.1))
    # Drawing both windows, or one of them twice, in nats per token: 1.9 and 1.1, 1 and 2, 2 and 1.
    assert found.interval.low == pytest.approx(math.exp(1) - math.exp(2))
    assert found.interval.high == pytest.approx(math.exp(2) - math.exp(1))


def test_every_metric_of_whole_texts_is_its_own_function_of_the_sums() -> None:
    for metric, value in (
        ("word_perplexity", math.exp(1.5)),
        ("bits_per_byte", 1.5 / math.log(2)),
        ("mean_kl", 1.5),
    ):
        items = [weighted(f"{metric},none", 3.0, 2), weighted(f"{metric},none", 6.0, 4)]
        assert ItemValues.of(items, f"{metric},none").figure() == pytest.approx(value)
    # As the harness keeps those of tasks with one word to guess: log-likelihoods.
    alone = ItemValues.of([{"perplexity,none": -1.0}, {"perplexity,none": -2.0}], "perplexity,none")
    assert alone.figure() == pytest.approx(math.exp(1.5))
    assert (
        ItemValues.of([weighted("word_perplexity,none", 9e9, 1)], "word_perplexity,none").figure() == math.inf
    )


def test_items_of_one_alone_are_left_out() -> None:
    ours = {"a": {"acc,none": 1.0}, "b": {"acc,none": 0.0}, "c": {"f1,none": 1.0}}
    found = paired(ours, {"b": {"acc,none": 1.0}, "c": {"acc,none": 1.0}}, "acc,none")
    assert found is not None and (found.items, found.difference) == (1, -1.0)
    assert paired(ours, {}, "acc,none") is None


def test_where_nobody_says_what_is_better_none_is_the_best(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        add_evaluation(store, stored(1, "8da4w", 9.0, higher_is_better=None), right(10))
        add_evaluation(store, stored(2, "4w", 7.0, higher_is_better=None), right(20))
        [ranking] = rank_scores(store, "task")
        assert not ranking.ranked and [place.paired for place in ranking.places] == [None, None]
        assert [place.evaluation.name for place in ranking.places] == ["m-4w", "m-8da4w"]


def of_source(number: int, value: float, sha256: str | None, **changes: object) -> StoredEvaluation:
    versions = {} if sha256 is None else {SOURCE_SHA256: sha256}
    evaluation = replace(
        EVALUATION, id=f"s{number}", created_unix_ns=number, artifact_sha256=None, quantization="fp32",
        name="checkpoint-500", model=f"run{number}/checkpoint-500", versions=versions,
    )  # fmt: skip
    return StoredEvaluation(replace(evaluation, **changes), (replace(SCORE, value=value),))  # type: ignore[arg-type]


def test_models_of_the_same_name_are_told_apart_by_their_hash(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        for number, sha256 in enumerate(("a" * 64, "b" * 64, "b" * 64, None)):
            add_evaluation(store, of_source(number, 0.5 + number / 10, sha256), [])
        [ranking] = rank_scores(store, "task")
        assert [place.evaluation.id for place in ranking.places] == ["s3", "s2", "s0"]


def test_scores_with_cut_prompts_are_ranked_by_themselves(sqlite_url: str) -> None:
    with open_store(sqlite_url) as store:
        add_evaluation(store, of_source(1, 0.5, "a" * 64), [])
        add_evaluation(store, of_source(2, 0.6, "b" * 64, truncated=True), [])
        add_evaluation(store, of_source(3, 0.4, "a" * 64, truncated=True), [])
        found = {
            one.truncated: [place.evaluation.id for place in one.places] for one in rank_scores(store, "task")
        }
        assert found == {False: ["s1"], True: ["s2", "s3"]}


@pytest.mark.parametrize(("value", "paired_items"), [(0.5, 20), (0.55, None)])
def test_a_group_is_compared_over_its_tasks_items_where_they_come_to_it(
    sqlite_url: str, value: float, paired_items: int | None
) -> None:
    def of_group(first: int, second: int) -> list[ScoredItem]:
        return [
            ScoredItem(f"task_{part}", 5, f"{i:032d}", {"acc,none": float(i < right)})
            for part, right in (("a", first), ("b", second))
            for i in range(10)
        ]

    with open_store(sqlite_url) as store:
        add_evaluation(store, stored(1, "8da4w", 0.3, n=20), of_group(3, 3))
        add_evaluation(store, stored(2, "fp32", value, n=20), of_group(9, 1))
        [ranking] = rank_scores(store, "task")
        second = ranking.places[1].paired
        assert (second and second.items) == paired_items
        assert second is None or second.difference == pytest.approx(-0.2)


def test_two_artifacts_are_judged_by_their_items_metric_for_metric(sqlite_url: str) -> None:
    """As gsm8k is: one metric after two filters."""
    with open_store(sqlite_url) as store:
        for number, quantization, strict, flexible in ((1, "4w", 10, 20), (2, "fp32", 30, 21)):
            one = stored(number, quantization, 0.0)
            scores = [
                replace(SCORE, metric="exact_match", filter=kept, value=count / 40)
                for kept, count in (("strict-match", strict), ("flexible-extract", flexible))
            ]
            items = [
                ScoredItem("task", 5, f"{i:032d}", {
                    "exact_match,strict-match": float(i < strict),
                    "exact_match,flexible-extract": float(i < flexible),
                })
                for i in range(40)
            ]  # fmt: skip
            add_evaluation(store, StoredEvaluation(one.evaluation, tuple(scores)), items)
        found = {one.left.filter: one for one in compare_scores(store, "4" * 64, "f" * 64)}
        assert {name: (one.left.value, one.right.value, one.verdict) for name, one in found.items()} == {
            "strict-match": (0.25, 0.75, "better"),
            "flexible-extract": (0.5, 0.525, "inconclusive"),
        }
        back = compare_scores(store, "f" * 64, "4" * 64)
        assert {one.verdict for one in back} == {"worse", "inconclusive"}
        assert compare_scores(store, "4" * 64, "0" * 64) == []
