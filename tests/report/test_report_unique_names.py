"""In generated stores, names in reports and listings tell apart what the condition key tells apart."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sample_runs import HOST, MODELS, PHONE, SCHEMES, artifact, manifest, run_of

from toolkit.report.configurations import unique_labels
from toolkit.report.content import Content, read_content
from toolkit.report.page import _data
from toolkit.report.pictures import pictures
from toolkit.store import Store
from toolkit.store.table import HEADERS, rows_of

ALGORITHMS = ("rtn", "hqq", "gptq")


def generated(store: Store, seed: int) -> Content:
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
    return read_content(store, store.list_runs(), title="t", selection="", batch=None)


@pytest.mark.parametrize("seed", range(4))
def test_every_name_tells_apart_what_the_key_tells_apart(empty_store: Store, seed: int) -> None:
    content = generated(empty_store, seed)
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
    content = read_content(empty_store, empty_store.list_runs(), title="t", selection="", batch=None)
    assert {content.names.quantization(one.artifact) for one in content.runs} == {
        f"mobile-4bit {algorithm}" for algorithm in ALGORITHMS
    }
