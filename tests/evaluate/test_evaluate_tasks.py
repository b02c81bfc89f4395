"""Scores are those of the harness's own model on the same weights, item by item, wherever they are taken."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from harness_scores import ROUNDS, SEED, evaluate, run_hflm
from own_tasks import write_tasks

from toolkit.evaluate.on_device.asking import asking
from toolkit.evaluate.request import TaskRequest
from toolkit.evaluate.tasks.task_scores import TaskFigures
from toolkit.progress import silent
from toolkit.settings import Settings


@pytest.fixture(scope="module")
def by_hflm(original: Path, tasks: Path) -> dict[str, dict[str, Any]]:
    return {names: run_hflm(original, tasks, names, shots) for names, shots in ROUNDS.items()}


def assert_scores_of(found: TaskFigures, wanted: dict[str, Any], *, within: float) -> None:
    scores = {(score.task, f"{score.metric},{score.filter}"): score for score in found.scores}
    for task, row in wanted["results"].items():
        for metric, value in row.items():
            if "," in metric and "_stderr" not in metric:
                assert scores[task, metric].value == pytest.approx(value, rel=within, abs=within)
    for task, samples in wanted["samples"].items():
        ours = [item for item in found.items if item.task == task]
        assert len(ours) == len(samples)
        for item, sample in zip(ours, samples, strict=True):
            for name in sample["metrics"]:
                wanted_value = sample[name]
                if isinstance(wanted_value, tuple):
                    log_likelihood, parts = wanted_value
                    assert item.metrics[f"{name},none,weight"] == parts
                    wanted_value = -log_likelihood
                assert item.metrics[f"{name},none"] == pytest.approx(float(wanted_value), abs=within)


@pytest.mark.parametrize("kind", ["original", "onnx", "executorch"])
def test_every_kind_of_task_scores_as_the_harness_own_model_does(
    kind: str,
    by_hflm: dict[str, dict[str, Any]],
    tasks: Path,
    settings: Settings,
    request: pytest.FixtureRequest,
) -> None:
    for names, shots in ROUNDS.items():
        found = evaluate(request.getfixturevalue(kind), tasks, settings, names, shots=shots)
        assert_scores_of(found, by_hflm[names], within=1e-3)
        assert {score.shots for score in found.scores} == {shots}
        choice = next(one for one in found.scores if (one.task, one.metric) == ("own_choice", "acc"))
        assert (choice.n, choice.version) == (12, "3.0")
        assert choice.stderr is not None
        assert found.settings == {"limit": None, "seed": SEED, "truncate": False}
        assert found.where == ("transformers fp32" if kind == "original" else "local")


def instances(kind: str, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [
        Instance(request_type=kind, doc={}, arguments=one, idx=index, metadata=("own", index, 1))
        for index, one in enumerate(arguments)
    ]


def requests_of_every_kind() -> dict[str, list[Any]]:
    """What tasks ask: continuations of one and several tokens, long texts, and text up to a stop sequence."""
    chance = random.Random(11)

    def words(count: int) -> str:
        return " ".join(chance.choices(("river", "meadow", "Zoë", "night;", "1999", "a"), k=count))

    scored = [(words(3 + n), f" {words(1 + n % 3)}") for n in range(8)]
    # No context, a space that belongs to what follows, and a line's end between the two.
    scored += [("", "river"), ("The river ", "rose"), ("The river\n", "rose\n")]
    until = ({"until": ["\n", "z"], "max_gen_toks": 12}, {"until": ["e", "q", "th"], "max_gen_toks": 30})
    return {
        "loglikelihood": instances("loglikelihood", scored),
        "loglikelihood_rolling": instances("loglikelihood_rolling", [(words(n),) for n in (1, 2, 9, 30, 90)]),
        "generate_until": instances(
            "generate_until", [(words(2 + n), until[n % 2] | {"do_sample": False}) for n in range(10)]
        ),
    }


@pytest.fixture(scope="module")
def returned_by_hflm(original: Path) -> dict[str, list[Any]]:
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=str(original), device="cpu", dtype="float32", batch_size=1)
    asked = requests_of_every_kind()
    return {kind: getattr(model, kind)(some, disable_tqdm=True) for kind, some in asked.items()}


@pytest.mark.parametrize("kind", ["original", "onnx", "executorch"])
def test_every_answer_is_that_of_the_harness_own_model(
    kind: str,
    returned_by_hflm: dict[str, list[Any]],
    settings: Settings,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """Scores alone would be equal where both models know nothing."""
    from toolkit.evaluate.subject import subject_of
    from toolkit.evaluate.tasks.model import Limits, ScoredModel, tokenizer_of

    target = request.getfixturevalue(kind)
    subject = subject_of(str(getattr(target, "path", target)), settings)
    assert subject.context_length is not None
    model = ScoredModel(
        subject.name,
        tokenizer_of(subject.write_tokenizer(tmp_path), subject.name),
        asking(subject, TaskRequest.of(), settings, silent),
        Limits(subject.context_length, subject.vocab_size),
    )
    found = {name: getattr(model, name)(some) for name, some in requests_of_every_kind().items()}
    for (ours, greedy), (theirs, also) in zip(
        found["loglikelihood"], returned_by_hflm["loglikelihood"], strict=True
    ):
        assert ours == pytest.approx(theirs, abs=1e-3) and greedy == also
    assert found["loglikelihood_rolling"] == pytest.approx(
        returned_by_hflm["loglikelihood_rolling"], abs=1e-3
    )
    texts = found["generate_until"]
    assert texts == returned_by_hflm["generate_until"]
    assert len(set(texts)) > 5, "texts that tell models apart"
    longest = max(
        len(model.tok_encode(one.args[0])) for one in requests_of_every_kind()["loglikelihood_rolling"]
    )
    assert longest > subject.context_length, "a text of several windows"


@pytest.fixture(scope="module")
def many_tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("many"), items=200)


@pytest.fixture(scope="module")
def many_by_hflm(original: Path, many_tasks: Path) -> dict[str, dict[str, Any]]:
    return {names: run_hflm(original, many_tasks, names, shots) for names, shots in ROUNDS.items()}


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["original", "onnx", "executorch"])
def test_two_hundred_items_of_every_kind_score_as_the_harness_own_model_does(
    kind: str,
    many_by_hflm: dict[str, dict[str, Any]],
    many_tasks: Path,
    settings: Settings,
    request: pytest.FixtureRequest,
) -> None:
    for names, shots in ROUNDS.items():
        found = evaluate(request.getfixturevalue(kind), many_tasks, settings, names, shots=shots)
        assert_scores_of(found, many_by_hflm[names], within=1e-3)
