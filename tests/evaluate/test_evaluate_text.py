"""`slm evaluate --text` says what transformers says of the same windows; artifacts are held against it."""

from __future__ import annotations

import dataclasses
import json
import math
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import toolkit
from toolkit.analysis.scores import SIGNIFICANT, rank_scores
from toolkit.artifact import Artifact
from toolkit.cli.main import app
from toolkit.engines import ENGINES
from toolkit.engines.onnxruntime import ONNXRUNTIME
from toolkit.errors import BadLogits, EngineFailed, NotAnArtifact, OtherSource, ToolkitError, UsageError
from toolkit.evaluate.intervals import estimate
from toolkit.evaluate.likelihood import divergence, negative_log_likelihood
from toolkit.evaluate.request import TextRequest
from toolkit.evaluate.stored.score_rows import text_rows
from toolkit.evaluate.subject import Subject, subject_of
from toolkit.evaluate.text import TextFigures, evaluate_text
from toolkit.evaluate.windows import Window
from toolkit.settings import Settings
from toolkit.store import open_store
from toolkit.store.evaluations import evaluations_of

TEXT = "The river had risen in the night, and by morning the meadow was a sheet of grey water.\n" * 3
WINDOW, STRIDE = 64, 32


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("text") / "river.txt"
    file.write_text(TEXT)
    return file


def evaluate(target: object, text: Path, settings: Settings, **options: Any) -> Any:
    target = target.path if isinstance(target, Artifact) else target
    options = {"window": WINDOW, "stride": STRIDE} | options
    return toolkit.evaluate_text(str(target), text, settings=settings, **options)


def by_transformers(folder: Path) -> float:
    """The loop of Hugging Face's guide, each window behind the tokenizer's token for a text's beginning."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    start = [1] if tokenizer("x")["input_ids"][0] == 1 else []
    body, scored_up_to, total, count = WINDOW - len(start), 0, 0.0, 0
    for begin in range(0, len(ids), STRIDE):
        end = min(begin + body, len(ids))
        window = torch.tensor([start + ids[begin:end]])
        labels = window.clone()
        labels[:, : max(1, window.shape[1] - (end - scored_up_to))] = -100
        with torch.no_grad():
            loss = model(window, labels=labels).loss
        scored = int((labels[:, 1:] != -100).sum())
        total += float(loss) * scored
        count += scored
        scored_up_to = end
        if end == len(ids):
            break
    return math.exp(total / count)


def test_a_models_perplexity_is_the_one_of_hugging_faces_guide(
    original: Path, text: Path, settings: Settings
) -> None:
    found = evaluate(original, text, settings)
    assert found.perplexity.value == pytest.approx(by_transformers(original), rel=1e-5)
    assert found.perplexity.low < found.perplexity.value < found.perplexity.high
    assert found.mean_kl is None
    assert found.source is None


@pytest.mark.parametrize("engine", ["onnx", "executorch"])
def test_an_fp32_artifact_says_what_its_source_says(
    engine: str, original: Path, text: Path, settings: Settings, request: pytest.FixtureRequest
) -> None:
    artifact: Artifact = request.getfixturevalue(engine)
    found = evaluate(artifact, text, settings, source=str(original))
    assert found.perplexity.value == pytest.approx(by_transformers(original), rel=1e-4)
    assert found.source_perplexity.value == pytest.approx(by_transformers(original), rel=1e-5)
    assert found.mean_kl.value < 1e-6
    assert found.top1_agreement.value == found.top5_agreement.value == 1
    assert found.perplexity_ratio.value == pytest.approx(1, abs=1e-4)


def test_a_quantized_artifact_is_somewhat_off(
    quantized: Artifact, original: Path, text: Path, settings: Settings
) -> None:
    found = evaluate(quantized, text, settings, source=str(original))
    assert found.mean_kl.value > 1e-5
    assert found.top1_agreement.value <= found.top5_agreement.value <= 1
    assert found.perplexity_ratio.value == pytest.approx(
        found.perplexity.value / found.source_perplexity.value
    )
    # Both were drawn with the same windows: the ratio is known better than either.
    spread = found.perplexity.high / found.perplexity.low
    assert found.perplexity_ratio.high / found.perplexity_ratio.low < spread


def test_two_artifacts_on_one_text_are_told_apart_window_by_window(
    onnx: Artifact, quantized: Artifact, original: Path, text: Path, settings: Settings, tmp_path: Path
) -> None:
    own = dataclasses.replace(settings, store_url=f"sqlite:///{tmp_path / 'results.db'}")
    figures = {one.name: evaluate(one, text, own, source=str(original)) for one in (onnx, quantized)}
    with open_store(own.store_url) as store:
        for metric in ("perplexity", "perplexity_ratio", "mean_kl", "top1_agreement"):
            [ranking] = rank_scores(store, "text:river.txt", metric=metric)
            best, other = ranking.places
            assert other.paired is not None and other.paired.items == figures[onnx.name].windows > 5
            values = [getattr(figures[one.evaluation.name], metric).value for one in (other, best)]
            assert other.paired.difference == pytest.approx(values[0] - values[1], rel=1e-6)
            assert other.paired.interval.low <= other.paired.difference <= other.paired.interval.high
            if metric == "mean_kl":
                # In every window the quantized one is further off: 2 of the 2^windows ways to sign them.
                assert best.evaluation.name == onnx.name and other.paired.p_value < SIGNIFICANT
        kept = evaluations_of(store)[0].evaluation
    assert kept.versions == {
        name: version(name) for name in ("onnxruntime", "tokenizers", "torch", "transformers")
    }


def test_the_command_prints_figures_with_intervals(
    onnx: Artifact, text: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    monkeypatch.setenv("SLM_CACHE_DIR", str(settings.cache_dir))
    asked = ["evaluate", str(onnx.path), "--text", str(text), "--window", "64", "--no-compare"]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert "perplexity" in shown.stdout
    assert "95 %" in shown.stdout
    found = json.loads(CliRunner().invoke(app, [*asked, "--windows", "1", "--json"]).stdout)
    assert found["windows"] == 1
    assert found["perplexity"]["low"] is None, "one window gives no interval"


def test_what_cannot_be_evaluated_says_why(
    onnx: Artifact, text: Path, settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9 cr\xe8me " * 9)
    (tmp_path / "empty.txt").write_text("")
    refused: list[tuple[dict[str, Any], type[ToolkitError], str]] = [
        ({"text": tmp_path / "none.txt"}, UsageError, "no such file"),
        ({"text": tmp_path / "latin.txt"}, UsageError, "UTF-8"),
        ({"text": tmp_path / "empty.txt"}, UsageError, "0 tokens"),
        ({"window": 100_000, "stride": None}, UsageError, "--window"),
        ({"stride": 65}, UsageError, "--stride"),
        ({"source": "random:gemma3-tiny"}, OtherSource, "weights differ"),
        ({}, ToolkitError, "--source"),
        ({"target": tmp_path / "damaged"}, NotAnArtifact, "manifest"),
    ]
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "manifest.json").write_text("{")
    for options, kind, words in refused:
        given = {"target": onnx.path, "text": text} | options
        compare = "source" in given or not options
        with pytest.raises(kind, match=words):
            evaluate(given.pop("target"), given.pop("text"), settings, compare=compare, **given)


def test_logits_that_are_no_numbers_are_an_error_not_a_figure() -> None:
    logits = torch.zeros(3, 8)
    logits[1, 2] = torch.nan
    with pytest.raises(BadLogits, match="no number"):
        negative_log_likelihood(logits, Window((1, 2, 3, 4), 1), subject="m")
    with pytest.raises(BadLogits, match="m: its logits"):
        divergence(torch.zeros(3, 8), logits, subject="m")


def test_an_interval_holds_the_mean_of_most_samples() -> None:
    generator = torch.Generator().manual_seed(1)
    held = 0
    for _ in range(60):
        drawn = (torch.randn(40, generator=generator) + 3).tolist()
        found = estimate(lambda total, count: total / count, drawn, [1.0] * 40)
        assert found.low is not None and found.high is not None
        held += found.low <= 3 <= found.high
    assert held >= 52


def test_the_same_text_in_other_tokens_is_not_the_same_items() -> None:
    subject = cast(Subject, SimpleNamespace(artifact=None, source=None, name="m"))
    same: dict[str, Any] = {
        **{"target": "m", "source": None, "text": "river.txt", "text_sha256": "a" * 64},
        **{"window_tokens": 64, "stride": 32, "windows": 8, "scored_tokens": 288},
        "perplexity": estimate(lambda a, n: a / n, [1.0, 2.0], [1, 1]),
    }
    hashes = {
        tokens: text_rows(subject, TextFigures(**same, token_ids_sha256=tokens), ("here fp32", "h"), "i")[0]
        .scores[0]
        .items_sha256
        for tokens in ("b" * 64, "c" * 64)
    }
    assert len(set(hashes.values())) == 2


@pytest.mark.parametrize(("how", "said"), [("SIGSEGV", "signal SIGSEGV"), ("exit", "exit code 3")])
def test_an_engine_that_dies_over_a_text_takes_nothing_along(
    how: str, said: str, onnx: Artifact, text: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a conversion with --check-text: the artifact stays, and the command says what happened."""
    monkeypatch.setenv("HOW_TO_DIE", how)
    dying = dataclasses.replace(ONNXRUNTIME, name="dying", title="Dying", decoder="dying_decoders:Dying")
    backend = onnx.manifest.backend.model_copy(update={"name": "dying"})
    manifest = onnx.manifest.model_copy(update={"backend": backend})
    subject = subject_of(str(onnx.path), settings)
    subject = dataclasses.replace(subject, artifact=dataclasses.replace(onnx, manifest=manifest))
    ENGINES.register("dying", dying)
    try:
        with pytest.raises(EngineFailed, match=said) as caught:
            evaluate_text(subject, None, TextRequest.of(text=text, window=WINDOW))
    finally:
        ENGINES.unregister("dying")
    assert caught.value.subject == onnx.name and caught.value.next_step
