"""In generated stores, names in reports and listings tell apart what the condition key tells apart."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sample_runs import HOST, MODELS, PHONE, SCHEMES, artifact, manifest, run_of
from stored_evaluations import EVALUATION, SCORE

from toolkit.report.configurations import unique_labels
from toolkit.report.content import Content, read_content
from toolkit.report.page import _data
from toolkit.report.pictures import pictures
from toolkit.report.scores_table import COLUMNS, rows
from toolkit.store import Store
from toolkit.store.evaluations import add_evaluation
from toolkit.store.rows import SOURCE_SHA256, Evaluation, Score, StoredEvaluation
from toolkit.store.table import HEADERS, rows_of

ALGORITHMS = ("rtn", "hqq", "gptq")


def generate(store: Store, seed: int) -> None:
    """Runs that differ here and there, in what is shown and in what is not."""
    rng = random.Random(seed)
    base = artifact(*MODELS[0], SCHEMES[2], "onnxruntime")
    artifacts = [
        replace(base, sha256=f"{number:064x}", model=model, quantization=quantization, algorithm=algorithm)
        for number, (model, quantization, algorithm) in enumerate(
            itertools.product(
                ("random:/a/config.json", "random:/b/config.json", "org/m"), ("mobile-4bit", "8w"), ALGORITHMS
            )
        )
    ]
    artifacts += [replace(artifacts[0], sha256="f" * 64), replace(artifacts[0], sha256="f" * 63 + "e")]
    devices = [
        replace(device, key=f"{device.key[:60]}{number:04}", build=build)
        for device in (HOST, PHONE)
        for number, build in enumerate(("one", "two", None))
    ]
    for number in range(60):
        changes = {
            "threads": rng.choice((2, 4)),
            "kernels": rng.choice(("own", "engine", None)),
            "runner_version": rng.choice(("0.1.0", "0.2.0")),
            "settings": rng.choice((None, {"flash_attn": True}, {"flash_attn": False})),
        }
        made, device = rng.choice(artifacts), rng.choice(devices)
        store.add_run(run_of(made, device, number=number, decode=100.0, **changes), manifest(SCHEMES[2]))


def content_of(store: Store, **how: bool) -> Content:
    return read_content(store, store.list_runs(), title="t", selection="", batch=None, **how)


@pytest.mark.parametrize("seed", range(4))
def test_every_name_tells_apart_what_the_key_tells_apart(empty_store: Store, seed: int) -> None:
    generate(empty_store, seed)
    content = content_of(empty_store)
    labels = unique_labels(content.configurations, content.names)
    shown = {
        (content.names.device(one.device), str(one.workload), label)
        for one, label in zip(content.configurations, labels, strict=True)
    }
    assert len(shown) == len(content.configurations) == len({one.key for one in content.configurations})
    qualities = [quality.label(content.names) for quality in content.qualities]
    assert len(set(qualities)) == len(qualities)
    dots = [
        (content.names.model(one.artifact), content.names.quantization(one.artifact))
        for one in content.qualities
    ]
    assert len(set(dots)) == len(dots), "of one engine"
    # What is drawn and what the page holds are these very names.
    page = _data(content)
    assert [one["label"] for one in page["configurations"]] == labels
    assert {(one["model"], one["name"]) for one in page["artifacts"]} == set(dots)
    for picture in pictures(content):
        bars = defaultdict(set)
        for row in picture.rows:
            bars[row["label"]].add(row.get("value", row.get("mb")))
        if picture.chart in ("decode", "prefill", "divergence", "agreement"):
            assert len(picture.rows) == len(bars), picture.file
    rows = rows_of(content.runs)
    model, quantization = HEADERS.index("model"), HEADERS.index("quant")
    assert len({(row[model], row[quantization]) for row in rows}) == len(
        {one.artifact.sha256 for one in content.runs}
    )
    assert content.created <= datetime.now(UTC)


def test_algorithms_of_one_preset_are_named(empty_store: Store) -> None:
    base = replace(artifact(*MODELS[0], SCHEMES[2], "onnxruntime"), quantization="mobile-4bit")
    for number, algorithm in enumerate(ALGORITHMS):
        made = replace(base, sha256=str(number) * 64, algorithm=algorithm)
        empty_store.add_run(run_of(made, HOST, number=number, decode=100.0), manifest(SCHEMES[2]))
    content = content_of(empty_store)
    assert {content.names.quantization(one.artifact) for one in content.runs} == {
        f"mobile-4bit {algorithm}" for algorithm in ALGORITHMS
    }


ASKED = replace(
    EVALUATION,
    model="org/m",
    artifact_sha256=None,
    backend="transformers",
    quantization="fp32",
    versions={},
)


def score_rows(store: Store, *asked: Evaluation, score: Score = SCORE) -> list[dict[str, str]]:
    """The table of scores, by its columns' titles."""
    for number, one in enumerate(asked):
        add_evaluation(store, StoredEvaluation(replace(one, id=f"e{number}"), (score,)), [])
    content = content_of(store, every_score=True)
    titles = [column.title for column in COLUMNS]
    return [
        dict(zip(titles, (cell.text for cell in row), strict=True))
        for row in rows(content.scores, content.names)
    ]


def test_scores_of_folders_with_the_same_name_are_told_apart(empty_store: Store) -> None:
    shown = score_rows(
        empty_store,
        *(
            replace(ASKED, model=model, name=name, versions={SOURCE_SHA256: sha256 * 64})
            for model, name, sha256 in (
                ("random:/a/config.json", "random-a", "1"),
                ("random:/b/config.json", "random-b", "2"),
                ("/one/checkpoint-500", "checkpoint-500", "3"),
                ("/two/checkpoint-500", "checkpoint-500", "4"),
                # Trained on, in the same folder.
                ("/two/checkpoint-500", "checkpoint-500", "5"),
            )
        ),
    )
    assert sorted((row["Model"], row["Quantization"]) for row in shown) == [
        ("one/checkpoint-500", "fp32"),
        ("random:a/config.json", "fp32"),
        ("random:b/config.json", "fp32"),
        ("two/checkpoint-500", "fp32 weights 444444"),
        ("two/checkpoint-500", "fp32 weights 555555"),
    ]


def test_scores_of_artifacts_without_a_run_are_told_apart(empty_store: Store) -> None:
    measured = replace(
        artifact(*MODELS[0], SCHEMES[2], "onnxruntime"), sha256="0" * 64, quantization="mobile-4bit"
    )
    empty_store.add_run(run_of(measured, HOST, number=1, decode=100.0), manifest(SCHEMES[2]))
    made = replace(ASKED, model=MODELS[0][0], backend="onnxruntime", quantization="mobile-4bit")
    shown = score_rows(empty_store, *(replace(made, artifact_sha256=one * 64) for one in "0123"))
    assert sorted(row["Quantization"] for row in shown) == [
        f"mobile-4bit artifact {one * 6}" for one in "0123"
    ]


@pytest.mark.parametrize("seed", range(4))
def test_no_two_rows_of_scores_say_the_same(empty_store: Store, seed: int) -> None:
    rng = random.Random(seed)
    generate(empty_store, seed)
    known = [one.artifact for one in empty_store.list_runs()]
    for number in range(80):
        one = rng.choice(known)
        sha256 = rng.choice((one.sha256, f"{number:064x}", None))
        asked = replace(
            ASKED,
            id=f"e{number}",
            created_unix_ns=number,
            model=one.model,
            artifact_sha256=sha256,
            backend=one.backend if sha256 else "transformers",
            quantization=one.quantization if sha256 else rng.choice(("fp32", "bfloat16")),
            place_identity=rng.choice(("here", "there")),
            truncated=rng.choice((True, False)),
            versions=rng.choice(({}, {SOURCE_SHA256: "1" * 64}, {SOURCE_SHA256: "2" * 64})),
        )
        score = replace(SCORE, version=rng.choice("12"), items_sha256=rng.choice("bc") * 64)
        add_evaluation(empty_store, StoredEvaluation(asked, (score,)), [])
    shown = score_rows(empty_store)
    told = {
        tuple(value for title, value in row.items() if title not in ("Score", "Standard error"))
        for row in shown
    }
    assert len(told) == len(shown) > 40
