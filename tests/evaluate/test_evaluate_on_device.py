"""The runner on a device answers as the original model does, in one process, and through a cut link."""

from __future__ import annotations

import dataclasses
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from own_tasks import write_tasks
from private_adb import AdbServer
from questions import answers, assert_alike, questions, share_cache
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from virtual_phones import running_phone

import toolkit
from toolkit.artifact import Artifact
from toolkit.devices.discovery import open_device
from toolkit.devices.local import LocalDevice
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import BadLogits, DeviceNotFound, RunnerFailed, ToolkitError, UsageError
from toolkit.evaluate.host_scorer import HostScorer
from toolkit.evaluate.on_device.asking import Asking, asking
from toolkit.evaluate.on_device.kept import KeptAnswers
from toolkit.evaluate.on_device.runner_scorer import LinkPatience, RunnerScorer
from toolkit.evaluate.on_device.sampled import compared, sample_again
from toolkit.evaluate.on_device.wire import answer_of, request_lines
from toolkit.evaluate.request import TaskRequest
from toolkit.evaluate.scoring import (
    Answer,
    ContinueAnswer,
    ContinueRequest,
    Request,
    ScoreAnswer,
    ScoreRequest,
)
from toolkit.evaluate.stored.score_rows import sampled_of
from toolkit.evaluate.subject import subject_of
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.progress import silent
from toolkit.recipes.kinds.evaluate import EvaluateWork
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.store import open_store
from toolkit.store.evaluations import evaluations_of


@pytest.fixture(scope="module")
def wanted(original: Path) -> list[Answer]:
    """By transformers, everything again for every question."""
    model = AutoModelForCausalLM.from_pretrained(original, dtype=torch.float32).eval()
    found: list[Answer] = []
    for request in questions():
        if isinstance(request, ContinueRequest):
            ids = torch.tensor([request.tokens])
            made = model.generate(ids, do_sample=False, max_new_tokens=6, min_new_tokens=6, eos_token_id=None)
            tokens = made[0, ids.shape[1] :].tolist()
            stop = tokens.index(2) if 2 in tokens else len(tokens)
            found.append(ContinueAnswer(tuple(tokens[:stop])))
            continue
        with torch.no_grad():
            logs = model(torch.tensor([request.tokens])).logits[0].double().log_softmax(-1)
        targets = torch.tensor(request.tokens[request.first :])
        rows = logs[request.first - 1 : -1]
        picked = rows.gather(1, targets[:, None])[:, 0]
        found.append(ScoreAnswer(tuple(picked.tolist()), bool((rows.argmax(-1) == targets).all())))
    return found


@pytest.fixture(scope="module")
def phone(adb_server: AdbServer, settings: Settings) -> Iterator[VirtualPhone]:
    with running_phone(adb_server.client, settings, PhoneSpec("scoring", model="Virtual Scorer")) as started:
        yield started


@pytest.mark.parametrize("kind", ["original", "onnx", "executorch"])
def test_a_decoder_on_this_host_answers_as_transformers_does(
    kind: str, wanted: list[Answer], settings: Settings, request: pytest.FixtureRequest
) -> None:
    target = request.getfixturevalue(kind)
    subject = subject_of(str(getattr(target, "path", target)), settings)
    scorer = HostScorer(subject.open(64), subject.name)
    assert_alike(answers(scorer, questions()), wanted)
    assert_alike(answers(scorer, questions()[::-1])[::-1], wanted)


@pytest.mark.parametrize("kind", ["onnx", "executorch"])
def test_the_runner_answers_as_transformers_does(
    kind: str, wanted: list[Answer], settings: Settings, request: pytest.FixtureRequest
) -> None:
    scorer = RunnerScorer(LocalDevice(settings), request.getfixturevalue(kind), settings)
    assert_alike(answers(scorer, questions()), wanted)
    left = [path for path in (settings.data_dir / "local-device" / "runs").iterdir()]
    assert left == []


def test_several_tokens_in_a_row_end_a_continuation(onnx: Artifact, settings: Settings) -> None:
    prompt = tuple(range(40, 60))
    here = HostScorer(subject_of(str(onnx.path), settings).open(64), onnx.name)
    there = RunnerScorer(LocalDevice(settings), onnx, settings)
    [whole] = answers(here, [ContinueRequest(prompt, 8)])
    assert isinstance(whole, ContinueAnswer) and len(whole.token_ids) == 8
    pair = whole.token_ids[3:5]
    first = next(n for n in range(1, 8) if whole.token_ids[n - 1 : n + 1] == pair)
    asked = [ContinueRequest(prompt, 8, (), ((250, 251), pair)), ContinueRequest(prompt, 8)]
    expected = [ContinueAnswer(whole.token_ids[: first - 1]), whole]
    assert answers(here, asked) == expected
    assert answers(there, asked) == expected


def test_a_phone_answers_as_this_host_does(
    phone: VirtualPhone, quantized: Artifact, settings: Settings
) -> None:
    asked = questions()
    here = answers(RunnerScorer(LocalDevice(settings), quantized, settings), asked)
    there = answers(RunnerScorer(open_device(phone.serial, settings), quantized, settings), asked)
    assert_alike(there, here, within=1e-6)


@pytest.mark.soak
def test_two_hundred_items_of_every_kind_are_answered_alike_on_a_phone(
    phone: VirtualPhone, quantized: Artifact, settings: Settings, tmp_path: Path
) -> None:
    tasks = write_tasks(tmp_path / "tasks", items=200)
    for names, shots in (
        ("own_choice,own_letters,own_rolling,own_writing", 0),
        ("own_choice,own_letters", 1),
    ):
        options = {"include_path": tasks, "shots": shots, "settings": settings}
        here = toolkit.evaluate_tasks(quantized, names, **options)
        there = toolkit.evaluate_tasks(quantized, names, device=phone.serial, **options)
        assert there.where == phone.serial and there.answered == there.asked > 0
        assert len(there.items) == 200 * len(names.split(","))
        assert there.items == here.items and all(item.metrics for item in there.items)
    subject = subject_of(str(quantized.path), settings)
    at_home, far = (
        asking(subject, TaskRequest.of(device=place), settings, silent).kept._answers
        for place in (None, phone.serial)
    )
    # More was asked at home, by other tests.
    assert len(far) > 1000 and far.keys() <= at_home.keys()
    assert_alike(list(far.values()), [at_home[key] for key in far], within=1e-6)


def test_a_sample_is_asked_again_on_a_phone(
    phone: VirtualPhone, quantized: Artifact, settings: Settings, tmp_path: Path
) -> None:
    def at(serial: str) -> Asking:
        device = open_device(serial, settings)
        kept = KeptAnswers(tmp_path / f"{serial}.jsonl")
        return Asking(lambda: RunnerScorer(device, quantized, settings), kept, silent)

    here, there = at("local"), at(phone.serial)
    here.answers(questions())
    found = sample_again(here, there, "the phone", 3, seed=1)
    assert (found.n, found.same, there.asked) == (3, 3, 3)
    assert found.max_difference is None or found.max_difference < 1e-6


def test_a_sample_on_a_phone_is_kept_with_the_scores(
    phone: VirtualPhone, quantized: Artifact, settings: Settings, tmp_path: Path
) -> None:
    tasks = write_tasks(tmp_path / "tasks", items=3)
    own = dataclasses.replace(settings, store_url=f"sqlite:///{tmp_path / 'results.db'}")
    found = toolkit.evaluate_tasks(
        quantized,
        "own_letters,own_writing",
        include_path=tasks,
        device=phone.serial,
        sample_on_device=4,
        settings=own,
    )
    assert found.where == "local" and found.sampled is not None
    assert (found.sampled.where, found.sampled.n, found.sampled.same) == (phone.serial, 4, 4)
    assert found.sampled.max_difference is not None and found.sampled.max_difference < 1e-6
    with open_store(own.store_url) as store:
        [stored] = evaluations_of(store)
        assert sampled_of(store, stored.evaluation.id) == found.sampled
    assert {score.task for score in stored.scores} == {"own_letters", "own_writing"}, "a sample is no score"


def test_a_sample_that_cannot_be_had_is_refused_before_anything_is_answered(
    phone: VirtualPhone, original: Path, quantized: Artifact, settings: Settings, tmp_path: Path
) -> None:
    tasks = write_tasks(tmp_path / "tasks", items=2)
    share_cache(settings.cache_dir, tmp_path / "cache")
    own = dataclasses.replace(settings, cache_dir=tmp_path / "cache")
    refused: list[tuple[Any, str | None, type[ToolkitError], str]] = [
        (original, "local", UsageError, "--device runs artifacts"),
        (quantized, f"{phone.serial}9", DeviceNotFound, f"{phone.serial}9"),
        (quantized, None, UsageError, "--device SERIAL"),
    ]
    for target, device, kind, words in refused:
        options = {"include_path": tasks, "device": device, "sample_on_device": 1, "settings": own}
        with pytest.raises(kind, match=f"(?s){words}"):
            toolkit.evaluate_tasks(target, "own_letters", **options)
    assert not (own.cache_dir / "evaluations").exists()


def test_a_step_of_a_recipe_says_how_its_sample_was_answered(
    quantized: Artifact, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolkit.recipes.work import evaluate

    monkeypatch.setattr(evaluate, "obtained", lambda key, workspace: quantized)
    tasks = write_tasks(tmp_path / "tasks", items=2)
    own = dataclasses.replace(settings, store_url=f"sqlite:///{tmp_path / 'results.db'}")
    request = TaskRequest.of(tasks="own_letters", include_path=tasks, device="local", sample_on_device=3)
    work = EvaluateWork(artifact="k", what="tasks", request=request, evaluation_ids=("a" * 12,))
    first, again = (evaluate.run(work, Workspace(tmp_path / "w"), own) for _ in range(2))
    assert (first["sampled"]["n"], first["sampled"]["same"], first["found"]) == (3, 3, False)
    assert (again["sampled"], again["found"]) == (first["sampled"], True)


def test_a_sample_counts_what_differs() -> None:
    asked: list[Request] = [ScoreRequest((1, 2), 1), ScoreRequest((1, 3), 1), ContinueRequest((1,), 2)]
    here: list[Answer] = [ScoreAnswer((-1.0,), True), ScoreAnswer((-2.0,), False), ContinueAnswer((5, 6))]
    there: list[Answer] = [ScoreAnswer((-1.5,), False), ScoreAnswer((-2.0,), False), ContinueAnswer((5, 7))]
    found = compared(asked, here, there, "there")
    assert (found.n, found.same, found.max_difference) == (3, 1, 0.5)
    assert compared(asked[2:], here[2:], here[2:], "there").max_difference is None


def test_a_cut_link_costs_no_answer(
    phone: VirtualPhone, adb_server: AdbServer, quantized: Artifact, settings: Settings
) -> None:
    asked: list[Request] = [
        ScoreRequest((*range(3, 60 + item % 9), 100 + item % 150, *range(30, 120)), 40) for item in range(400)
    ]
    device = open_device(phone.serial, settings)
    scorer = RunnerScorer(device, quantized, settings, patience=LinkPatience(60, 0.2))
    found: dict[int, Answer] = {}
    cut = threading.Event()

    def cut_and_mend() -> None:
        adb_server.client.disconnect(phone.serial)
        cut.set()
        time.sleep(1)
        bring_online(phone, adb_server.client)

    def on_answer(index: int, answer: Answer) -> None:
        found[index] = answer
        if len(found) == 5:
            mending.start()

    mending = threading.Thread(target=cut_and_mend)
    scorer.answer(asked, on_answer)
    mending.join()
    assert cut.is_set()
    here = answers(RunnerScorer(LocalDevice(settings), quantized, settings), asked)
    assert_alike([found[index] for index in range(len(asked))], here, within=1e-6)


def test_logits_that_are_no_numbers_and_too_long_texts_are_errors(
    onnx: Artifact, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = RunnerScorer(LocalDevice(settings), onnx, settings)
    with pytest.raises(RunnerFailed, match="ran out of context"):
        answers(scorer, [ContinueRequest((3, 4), 100_000)])

    class Broken:
        every_position = True

        def reset(self) -> None: ...

        def rewind(self, position: int) -> int:
            return 0

        def step(self, ids: object) -> torch.Tensor:
            return torch.full((len(ids), 8), torch.nan)  # type: ignore[arg-type]

    with pytest.raises(BadLogits, match="no number"):
        answers(HostScorer(Broken(), "m"), [ScoreRequest((1, 2), 1)])
    with pytest.raises(BadLogits, match="no number"):
        answers(HostScorer(Broken(), "m"), [ContinueRequest((1, 2), 1)])


@pytest.mark.parametrize("backend", ["onnxruntime", "executorch"])
def test_a_spoiled_weight_is_known_by_its_logits_on_a_device(
    backend: str, original: Path, settings: Settings, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    shutil.copytree(original, folder)
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"][0] = torch.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    request = ConvertRequest(model=str(folder), backend=backend, quant="fp32", parity_check=False)
    artifact = convert(resolve(str(folder), settings), request, tmp_path / "spoiled", settings)
    scorer = RunnerScorer(LocalDevice(settings), artifact, settings)
    for asked in (ScoreRequest((1, 2, 3), 1), ContinueRequest((1, 2, 3), 2)):
        with pytest.raises(BadLogits, match="no number"):
            answers(scorer, [asked])


@given(st.lists(st.tuples(st.lists(st.integers(0, 9), min_size=2, max_size=8), st.booleans()), max_size=8))
def test_requests_are_written_so_that_they_can_be_read(texts: list[tuple[list[int], bool]]) -> None:
    asked: list[Request] = [
        ScoreRequest(tuple(ids), len(ids) - 1) if score else ContinueRequest(tuple(ids), 3, (7, 8))
        for ids, score in texts
    ]
    before: list[int] = []
    for line, request in zip(request_lines(asked, range(len(asked))), asked, strict=True):
        kind, _index, keep, *rest = line.split()
        own = rest[1:] if kind == "score" else rest[2:]
        before = [*before[: int(keep)], *map(int, own)]
        assert tuple(before) == request.tokens


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        '{"record":"end"}',
        '{"record":"score","id":5,"log_probabilities":[-1],"greedy":true}',
        '{"record":"score","id":0,"log_probabilities":[-1,-2],"greedy":true}',
        '{"record":"score","id":0,"log_probabilities":[-1],"gree',
        '{"record":"continuation","id":0,"token_ids":[1]}',
    ],
)
def test_lines_that_are_no_answer_to_what_was_asked_are_none(line: str) -> None:
    assert answer_of(line, {0: ScoreRequest((1, 2), 1)}) is None


def test_a_probability_of_zero_arrives_as_such() -> None:
    line = '{"record":"score","id":0,"log_probabilities":[-1e999],"greedy":false}'
    assert answer_of(line, {0: ScoreRequest((1, 2), 1)}) == (0, ScoreAnswer((float("-inf"),), False))
