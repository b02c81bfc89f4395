"""Scores are those of the harness's own model on the same weights, item by item, wherever they are taken."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from own_tasks import write_tasks
from questions import share_cache

import toolkit
from toolkit.analysis.scores import rank_scores
from toolkit.artifact import Artifact
from toolkit.errors import (
    ContextTooShort,
    EvaluationError,
    TaskDataMissing,
    TaskInvalid,
    TokenizerMismatch,
    ToolkitError,
    UnknownTask,
    UsageError,
)
from toolkit.evaluate.on_device.asking import Asking, asking
from toolkit.evaluate.on_device.kept import KeptAnswers
from toolkit.evaluate.request import TaskRequest
from toolkit.evaluate.scoring import ContinueAnswer, ContinueRequest, ScoreAnswer, ScoreRequest
from toolkit.evaluate.tasks.harness import Tasks
from toolkit.evaluate.tasks.presets import PRESETS, group_means
from toolkit.evaluate.tasks.task_scores import TaskFigures, items_of, left_out_of, scores_of
from toolkit.progress import silent
from toolkit.settings import Settings
from toolkit.store import open_store

ROUNDS = {"own_choice,own_letters,own_rolling,own_writing": 0, "own_choice,own_letters": 1}
SEED = 7


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@pytest.fixture(scope="module")
def by_hflm(original: Path, tasks: Path) -> dict[str, dict[str, Any]]:
    return {names: run_hflm(original, tasks, names, shots) for names, shots in ROUNDS.items()}


def run_hflm(original: Path, tasks: Path, names: str, shots: int) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model = HFLM(pretrained=str(original), device="cpu", dtype="float32", batch_size=1)
    found: dict[str, Any] = simple_evaluate(
        model=model,
        tasks=names.split(","),
        num_fewshot=shots,
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        bootstrap_iters=0,
        fewshot_random_seed=SEED,
    )
    return found


def evaluate(target: Any, tasks: Path, settings: Settings, names: str, **options: Any) -> TaskFigures:
    options = {"include_path": tasks, "seed": SEED} | options
    return toolkit.evaluate_tasks(target, names, settings=settings, **options)


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


def test_what_was_answered_is_not_asked_again(
    quantized: Artifact, tasks: Path, settings: Settings, tmp_path: Path
) -> None:
    # Whatever other tests asked the same model.
    settings = dataclasses.replace(settings, cache_dir=tmp_path)
    first = evaluate(quantized, tasks, settings, "own_letters", limit=4)
    assert first.answered == first.asked == 16
    again = evaluate(quantized, tasks, settings, "own_letters")
    assert (again.asked, again.answered) == (48, 32)
    third = evaluate(quantized, tasks, settings, "own_letters")
    assert (third.answered, third.scores) == (0, again.scores)
    assert first.scores[0].items_sha256 != again.scores[0].items_sha256


def test_an_evaluation_killed_at_any_moment_resumes_to_the_same_scores(
    onnx: Artifact, tasks: Path, settings: Settings, tmp_path: Path
) -> None:
    wanted = evaluate(onnx, tasks, settings, "own_choice,own_rolling")
    share_cache(settings.cache_dir, tmp_path / "cache")
    environ = os.environ | {"SLM_CACHE_DIR": str(tmp_path / "cache"), "SLM_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "toolkit.cli.main", "evaluate", str(onnx.path), "--json"]
    command += ["--tasks", "own_choice,own_rolling", "--include-path", str(tasks), "--seed", str(SEED)]
    kept = tmp_path / "cache" / "evaluations"
    for least in (1, 20):
        process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if sum(file.read_bytes().count(b"\n") for file in kept.glob("*.jsonl")) >= least:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        process.wait()
    # As a kill in the middle of a write leaves it.
    [file] = kept.glob("*.jsonl")
    file.write_bytes(file.read_bytes() + b'{"key": "ab", "log_proba')
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = TaskFigures.model_validate_json(done.stdout)
    assert found.answered < found.asked
    assert found.scores == wanted.scores


def test_the_tasks_of_the_survey_and_their_means() -> None:
    names = {task for one in PRESETS["survey"].rounds for task in one.tasks}
    assert len(names) == 12
    scores = {name: 0.5 for name in names} | {"hellaswag": 0.57, "gsm8k": 0.1}
    means = group_means(scores)
    assert means == {
        "commonsense": pytest.approx(0.51),
        "problem solving": 0.5,
        "mathematics": pytest.approx(0.3),
        "Acc(Avg)": pytest.approx(0.505),
    }
    assert group_means({"gsm8k": 1.0}) == {}
    assert [one.shots for one in PRESETS["in-context"].rounds] == [0, 1, 5]
    assert [len(one.tasks) for one in PRESETS["in-context"].rounds] == [8, 7, 7]


# Of the harness's thousands of tasks, those that the presets name.
PRESET_FOLDERS = (
    *("arc", "benchmarks", "commonsense_qa", "gsm8k", "hellaswag", "minerva_math", "mmlu/default"),
    *("openbookqa", "piqa", "super_glue/boolq", "truthfulqa", "winogrande"),
)


@pytest.fixture(scope="module")
def preset_tasks() -> dict[str, Any]:
    """Entries of the presets' tasks, groups by those of their parts."""
    import lm_eval.tasks
    from lm_eval.tasks._index import TaskIndex

    root = Path(lm_eval.tasks.__file__).parent
    index = TaskIndex.build([root / folder for folder in PRESET_FOLDERS])
    found: dict[str, Any] = {}
    left = [task for preset in PRESETS.values() for one in preset.rounds for task in one.tasks]
    while left:
        name = left.pop()
        entry = index[name]
        children = (entry.cfg or {}).get("task") if entry.yaml_path else sorted(entry.tags)
        if isinstance(children, list):
            left += children
        else:
            found[name] = entry
    return found


def test_examples_are_asked_for_of_tasks_that_take_them(preset_tasks: dict[str, Any]) -> None:
    """The harness leaves tasks that say 0 at that, whatever is asked of them."""
    for preset in PRESETS.values():
        for one in preset.rounds:
            fixed = [task for task in one.tasks if task in preset_tasks and one.shots]
            assert [task for task in fixed if preset_tasks[task].cfg.get("num_fewshot") == 0] == []
    assert preset_tasks["truthfulqa_mc2"].cfg["num_fewshot"] == 0


def test_every_function_of_the_presets_can_be_imported(preset_tasks: dict[str, Any], tmp_path: Path) -> None:
    """All but Minerva Math's by what the toolkit's extra brings; theirs say what to install."""
    from importlib.util import find_spec

    from lm_eval.tasks._yaml_loader import load_yaml

    assert len(preset_tasks) > 70
    maths = {name for name in preset_tasks if name.startswith("minerva_math")}
    assert len(maths) == 7
    for name, entry in preset_tasks.items():
        if name not in maths:
            assert load_yaml(entry.yaml_path, resolve_func=True)["task"] == name
    folder = preset_tasks["minerva_math_algebra"].yaml_path.parent
    wanted = UsageError if find_spec("math_verify") is None else TaskDataMissing
    with pytest.raises(wanted) as refused:
        Tasks(folder).load(["minerva_math_algebra"])
    if wanted is UsageError:
        assert refused.value.next_step == "Install them: pip install 'lm-eval[math]'"


@pytest.mark.soak
def test_the_harness_knows_every_task_of_the_presets() -> None:
    from lm_eval.tasks import TaskManager

    known = set(TaskManager().all_tasks)
    asked = {task for preset in PRESETS.values() for one in preset.rounds for task in one.tasks}
    assert asked <= known


def write_yaml(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.yaml").write_text(f"task: {name}\n{text}")


def test_what_cannot_be_scored_says_why(
    onnx: Artifact, original: Path, tasks: Path, settings: Settings, tmp_path: Path
) -> None:
    write_tasks(tmp_path)
    start = (tmp_path / "own_choice.yaml").read_text().partition("\n")[2]
    write_yaml(tmp_path, "own_long", start.replace("{{question}}", "{{question}} " + "and on " * 60))
    write_yaml(tmp_path, "own_broken", start.replace("multiple_choice", "no_such_type"))
    write_yaml(tmp_path, "own_absent", start.replace("items.jsonl", "none.jsonl"))
    sampled = (tmp_path / "own_writing.yaml").read_text().partition("\n")[2]
    write_yaml(tmp_path, "own_sampled", sampled.replace("do_sample: false", "do_sample: true"))
    write_yaml(tmp_path, "own_code", start + "unsafe_code: true\n")
    write_yaml(tmp_path, "own_pictures", start + "doc_to_image: picture\n")
    write_yaml(tmp_path, "own_needs", start + "process_docs: !function needing.docs\n")
    (tmp_path / "needing.py").write_text("import no_such_package.inner\n")
    write_yaml(tmp_path, "own_typo", start + "process_docs: !function neding.docs\n")
    (tmp_path / "cut.yaml").write_text("task: [\n")
    refused: list[tuple[str, dict[str, Any], type[ToolkitError], str]] = [
        ("own_code", {}, EvaluationError, "own_code: runs the code that a model writes"),
        ("own_pictures", {}, EvaluationError, "own_pictures: shows pictures"),
        (
            "own_needs",
            {},
            UsageError,
            "own_needs.*import no_such_package, .*pip install no_such_package$",
        ),
        ("own_typo", {}, TaskInvalid, "own_typo.*neding"),
        (str(tmp_path / "cut.yaml"), {}, TaskInvalid, "cut.yaml.*Correct its YAML"),
        ("own_chioce", {}, UnknownTask, "'own_choice'"),
        ("own_absent", {}, TaskDataMissing, "none.jsonl.*--fetch-only"),
        ("own_broken", {}, TaskInvalid, "no_such_type"),
        ("own_long", {}, ContextTooShort, "own_long.*--shots"),
        ("own_sampled", {}, EvaluationError, "do_sample: false"),
        (",", {}, UsageError, "--tasks"),
        ("survey", {"shots": 3}, UsageError, "--shots"),
        ("quick,own_choice", {}, UsageError, "quick.*stands alone.*--tasks quick"),
        ("own_choice", {"include_path": tmp_path / "none"}, UsageError, "no folder"),
    ]
    for names, options, kind, words in refused:
        with pytest.raises(kind, match=f"(?s){words}"):
            evaluate(onnx, tmp_path, settings, names, **options)
    with pytest.raises(UsageError, match="--device runs artifacts"):
        evaluate(original, tmp_path, settings, "own_choice", device="local")
    with pytest.raises(UsageError, match="OMP_NUM_THREADS=3"):
        evaluate(original, tmp_path, settings, "own_choice", threads=3)
    found = evaluate(onnx, tmp_path, settings, "own_long", truncate=True, limit=2)
    assert found.scores[0].n == 2


def test_a_tokenizer_of_another_model_is_refused(onnx: Artifact, tasks: Path, settings: Settings) -> None:
    from toolkit.evaluate.subject import subject_of
    from toolkit.evaluate.tasks.model import Limits, ScoredModel, tokenizer_of

    subject = subject_of(str(onnx.path), settings)
    tokenizer = tokenizer_of(onnx.path, subject.name)
    nobody = Asking(list, KeptAnswers(tasks / "x"), print)  # type: ignore[arg-type]
    model = ScoredModel(subject.name, tokenizer, nobody, Limits(64, 70))
    with pytest.raises(TokenizerMismatch, match="70 embeddings"):
        model._loglikelihood_tokens([(("", ""), [5, 71], [6])])


def test_answers_survive_on_disk(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    asked = [ScoreRequest((1, 2), 1), ScoreRequest((1, 2, 3), 1), ContinueRequest((1, 2), 3, (4,))]
    given = [ScoreAnswer((float("-inf"),), False), ScoreAnswer((-0.1, -1 / 3), True), ContinueAnswer((5,))]
    for question, answer in zip(asked, given, strict=True):
        KeptAnswers(file).add(question, answer)
        with file.open("a") as cut:
            cut.write('{"key": "cut')
    kept = KeptAnswers(file)
    assert [kept.get(question) for question in asked] == given
    assert kept.get(ContinueRequest((1, 2), 3, (5,))) is None
    assert len(kept) == 3


def test_the_command_prints_a_line_per_score(
    onnx: Artifact, tasks: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from toolkit.cli.main import app

    monkeypatch.setenv("SLM_DATA_DIR", str(settings.data_dir))
    asked = [
        "evaluate",
        str(onnx.path),
        "--tasks",
        "own_choice",
        "--include-path",
        str(tasks),
        "--limit",
        "3",
    ]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert "own_choice, 0 shots: acc 0." in shown.stdout
    assert "n = 3" in shown.stdout
    fetched = CliRunner().invoke(app, ["evaluate", *asked[2:-2], "--fetch-only"])
    assert "1 tasks (own_choice)" in fetched.stdout, fetched.output
    mixed = CliRunner().invoke(app, [*asked, "--window", "9"])
    assert isinstance(mixed.exception, UsageError) and "--window" in str(mixed.exception)
    json.loads(CliRunner().invoke(app, [*asked, "--json"]).stdout)


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


def test_scores_of_two_artifacts_are_ranked_item_by_item(
    onnx: Artifact, quantized: Artifact, tasks: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from toolkit.cli.main import app

    store = f"sqlite:///{settings.data_dir / 'ranked.db'}"
    own = dataclasses.replace(settings, store_url=store)
    for artifact in (onnx, quantized):
        evaluate(artifact, tasks, own, "own_choice,own_rolling")
    with open_store(store) as opened:
        for metric in ("word_perplexity", "bits_per_byte"):
            [ranking] = rank_scores(opened, "own_rolling", metric=metric)
            best, other = ranking.places
            assert other.paired is not None and other.paired.items == 12
            # The items come to the harness's own figures.
            assert other.paired.difference == pytest.approx(other.score.value - best.score.value, rel=1e-6)
    monkeypatch.setenv("SLM_STORE_URL", store)
    for command in (
        ["scores", "own_choice"],
        ["compare", "--axis", "quantization", "--figure", "own_choice"],
    ):
        shown = CliRunner().invoke(app, ["results", *command])
        assert shown.exit_code == 0, shown.output
        assert "own_choice, 0 shots: acc, n = 12" in shown.stdout
        assert "vs best" in shown.stdout
        assert onnx.name in shown.stdout and quantized.name in shown.stdout
    # Options that a ranking of scores cannot heed are refused, not ignored.
    refused = CliRunner().invoke(app, ["results", "compare", "--figure", "own_choice", "--device", "local"])
    assert isinstance(refused.exception, UsageError)


def test_a_metric_that_is_no_number_is_left_out_and_told() -> None:
    sample = {"doc_hash": "d", "prompt_hash": "p", "target_hash": "t", "filter": "none"}
    metrics = {"acc": 1.0, "f1": float("nan"), "word_perplexity": float("inf")}
    results = {
        "results": {
            "own": {"alias": "own"}
            | {f"{name},none": value for name, value in metrics.items()}
            | {f"{name}_stderr,none": float("inf") for name in metrics}
        },
        "n-shot": {"own": 0},
        "n-samples": {"own": {"effective": 1}},
        "samples": {"own": [{**sample, "metrics": list(metrics), **metrics}]},
    }
    [score] = scores_of(results)
    assert (score.metric, score.value, score.stderr) == ("acc", 1.0, None)
    assert left_out_of(results) == ["own f1,none: nan", "own word_perplexity,none: inf"]
    assert [item.metrics for item in items_of(results)] == [{"acc,none": 1.0}]


def test_an_edited_config_or_other_weights_are_another_model(tmp_path: Path, settings: Settings) -> None:
    """Its answers are asked anew, and its scores ranked apart."""
    from model_folders import edit_config, write_folder

    from toolkit.evaluate.subject import source_sha256
    from toolkit.sources import resolve

    for run, changes in {"a": {}, "b": {}, "c": {"rms_norm_eps": 1e-3}}.items():
        write_folder(tmp_path / run / "checkpoint-500", settings)
        edit_config(tmp_path / run / "checkpoint-500", **changes)
    hashes = [
        source_sha256(resolve(str(tmp_path / run / "checkpoint-500"), settings)) for run in ("a", "b", "c")
    ]
    assert hashes[0] == hashes[1] != hashes[2]
    config = tmp_path / "config.json"
    config.write_text((tmp_path / "a" / "checkpoint-500" / "config.json").read_text())
    before = source_sha256(resolve(f"random:{config}", settings))
    edit_config(tmp_path, rms_norm_eps=1e-3)
    assert source_sha256(resolve(f"random:{config}", settings)) != before
    assert source_sha256(resolve("random:llama-tiny", settings)) != before
