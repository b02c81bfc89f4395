"""Every study's figures, table and findings, on stores that have much, little or nothing to say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from made_points import point
from sample_runs import HOST, PHONE, SCHEMES, VIRTUAL, artifact, run_of

from toolkit.models.catalogue.catalogue import shipped
from toolkit.report.study_content import StudyContent
from toolkit.report.study_formats import FORMATS
from toolkit.report.study_page import render_page
from toolkit.settings import Settings
from toolkit.store import Store, open_store
from toolkit.store.measurements import measurement
from toolkit.store.rows import Device, Measurement, StoredRun
from toolkit.studies import published
from toolkit.studies.data import StudyData, read_data, samples
from toolkit.studies.kinds.energy import STATEMENTS as ENERGY
from toolkit.studies.study import STUDIES

MODELS = ("SmolLM-135M", "Pythia-160M", "SmolLM-360M", "Qwen2-0.5B", "BLOOM-560M", "Phi-1", "Phi-1.5")
FP32, _, FOUR_BITS, _ = SCHEMES
# Shares of a pass and of the peak that sum to 100.
PARTS = {
    **{"embedding": 1, "attention": 40, "feed_forward": 30, "norms": 4, "lm_head": 20},
    **{"engine": 3, "runner": 1, "other": 1},
}
OPERATORS = {
    **{"products": 80, "attention": 5, "norms": 4, "elementwise": 3, "copies": 2, "quantizing": 1},
    "other": 5,
}
MEMORY = {"weights_mapped": 10, "weights_packed": 50, "states": 15, "compute": 15, "engine": 5, "other": 5}


def measured(parameters: int) -> Iterator[Measurement]:
    """What only some runs have: shares, memory by part, and joules that follow the size."""
    for phase in ("prefill", "decode"):
        for part, percent in PARTS.items():
            yield measurement(f"{phase}_{part}_percent", percent)
        for kind, percent in OPERATORS.items():
            yield measurement(f"{phase}_operators_{kind}_percent", percent)
    for part, percent in MEMORY.items():
        yield measurement(f"memory_{part}_bytes", percent * 1e6)
    yield measurement("prefill_joules_per_token", parameters / 1e9)
    yield measurement("decode_joules_per_token", parameters / 1e8)


def run(number: int, model: str, device: Device, scheme: Any = FOUR_BITS, **changes: Any) -> StoredRun:
    """A run of a model of the catalogue, faster the smaller it is."""
    counted = shipped()[model].parameters
    assert counted is not None
    made = artifact(f"random:{model}", counted.unique, scheme, "onnxruntime")
    stored = run_of(made, device, number=number, decode=1e10 / counted.unique, generated=32, **changes)
    return replace(stored, measurements=tuple(measured(counted.unique)))


def many() -> Iterator[StoredRun]:
    """Models, schemes and devices, two rounds of one, cold and warm starts, three contexts."""
    number = 0
    for model in MODELS:
        yield run(number := number + 1, model, PHONE)
    for device, scheme in ((PHONE, FP32), (HOST, FOUR_BITS), (HOST, FP32), (VIRTUAL, FOUR_BITS)):
        yield run(number := number + 1, "SmolLM-135M", device, scheme)
    yield run(number := number + 1, "Phi-1", PHONE)
    for model in MODELS[:2]:
        for state in ("cold", "warm"):
            yield run(number := number + 1, model, PHONE, settings={"page_cache": state})
    for context in (1024, 4096):
        longer = run(number := number + 1, "SmolLM-135M", PHONE, context_length=context)
        made = replace(longer.artifact, context_length=context, sha256=f"{context:064d}")
        yield replace(longer, artifact=made, run=replace(longer.run, artifact_sha256=made.sha256))


def lengths() -> Iterator[StoredRun]:
    """Prompts of six lengths on two devices, with and without weights of four bits."""
    number = 0
    for tokens in (10, 20, 30, 40, 50, 60):
        for device, scheme in ((PHONE, FP32), (PHONE, FOUR_BITS), (HOST, FOUR_BITS)):
            yield run(number := number + 1, "SmolLM-135M", device, scheme, prompt_tokens=tokens)


def missing() -> Iterator[StoredRun]:
    """Runs that lack one thing each, and one that lacks everything."""
    lacking: list[dict[str, Any]] = [
        {"peak_bytes": None},
        {"load_ns": None},
        {"ttft_ns": None, "prefill_tokens_per_second": None},
        {"decode_tokens_per_second": None},
        {"status": "oom_killed"},
    ]
    for number, fields in enumerate(lacking, start=1):
        bare = replace(run(number, MODELS[number], PHONE, **fields), measurements=())
        if "ttft_ns" in fields:
            bare = replace(bare, repetitions=[replace(one, prefill_ns=None) for one in bare.repetitions])
        if "decode_tokens_per_second" in fields:
            bare = replace(
                bare, repetitions=[replace(one, decode_ns=(), decode_total_ns=0) for one in bare.repetitions]
            )
        yield replace(bare, conditions=())


STORES: dict[str, list[StoredRun]] = {
    "none": [],
    "one": [run(1, "SmolLM-135M", PHONE)],
    "emulated": [run(number, model, VIRTUAL) for number, model in enumerate(MODELS)],
    "missing": list(missing()),
    "many": list(many()),
    "lengths": list(lengths()),
}
# Each length is a panel of its own in the studies that do not ask about lengths.
CASES = [
    (held, study)
    for held in STORES
    for study in STUDIES
    if held != "lengths" or study in ("hardware", "quantization")
]


def kept(store: Store, runs: Sequence[StoredRun]) -> StudyData:
    for one in runs:
        store.add_run(one, {"schema": "slm-artifact/1", "source": {"kind": "random"}})
    return read_data(store, [one.run.id for one in runs], [], shipped())


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, StudyData]]:
    folder = tmp_path_factory.mktemp("stores")
    opened = {name: open_store(f"sqlite:///{folder / name}.db") for name in STORES}
    yield {name: kept(store, STORES[name]) for name, store in opened.items()}
    for store in opened.values():
        store.close()


@pytest.mark.parametrize(("held", "study"), CASES)
def test_a_study_says_what_its_store_has(
    held: str, study: str, stores: dict[str, StudyData], tmp_path: Path
) -> None:
    data, asked = stores[held], STUDIES.get(study)
    content = StudyContent(
        title=asked.title,
        question=asked.question,
        created=datetime.now(UTC),
        toolkit_version="0",
        facts=[],
        conditions=[],
        table=asked.table(data),
        figures=asked.figures(data),
        findings=asked.findings(data),
    )
    assert all(len(row) == len(content.table.columns) for row in content.table.rows)
    assert len({figure.key for figure in content.figures}) == len(content.figures)
    ids = {one.run.id for one in STORES[held]}
    for figure in content.figures:
        for panel in figure.panels:
            if not panel.published:
                assert panel.emulated == ("mulated" in panel.title or "irtual" in panel.title), panel.title
            for chart in panel.charts:
                for row in chart.rows:
                    assert set(row) <= {*chart.columns, "family", "series", "low", "high"}
                    assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    for finding in content.findings:
        assert set(finding.rows) <= ids
        assert finding.rows or finding.verdict == "not enough data" or "published" in finding.where
        # One run is enough for `sustained`, which tests its repetitions.
        if held in ("none", "one") and study != "sustained":
            assert finding.verdict == "not enough data" or "published" in finding.where
    page = render_page(content, "")
    assert page.count("<figure") == sum(len(figure.panels) for figure in content.figures)
    for name in ("md", "json"):
        FORMATS.get(name)(content, tmp_path / f"report.{name}", Settings.from_environment())
    said = json.loads((tmp_path / "report.json").read_text())
    assert len(said["findings"]) == len(content.findings)
    assert (tmp_path / "report.md").read_text().startswith(f"# {asked.title}\n")


def test_the_stores_tell_what_the_studies_ask(stores: dict[str, StudyData]) -> None:
    """Else the test above would say little."""
    points = stores["many"].points
    assert {point.device.key for point in points} == {PHONE.key, HOST.key, VIRTUAL.key}
    assert max(len(point.run_ids) for point in points) == 2
    lacking = [set(point.numbers) for point in stores["missing"].points]
    assert all(
        any(name not in numbers for numbers in lacking) for name in ("ttft_ms", "decode_ms", "peak_mb")
    )
    for study in ("energy", "memory-breakdown", "latency-breakdown"):
        own = [
            chart
            for figure in STUDIES.get(study).figures(stores["many"])
            for panel in figure.panels
            if not panel.published
            for chart in panel.charts
        ]
        assert own and all(chart.rows for chart in own), study


def test_every_published_table_is_used_by_a_study(
    stores: dict[str, StudyData], monkeypatch: pytest.MonkeyPatch
) -> None:
    used: set[str] = set()
    table = published.table

    def recorded(name: str) -> Any:
        used.add(name)
        return table(name)

    monkeypatch.setattr(published, "table", recorded)
    for name in STUDIES:
        study = STUDIES.get(name)
        study.figures(stores["none"])
        study.findings(stores["none"])
    assert used == set(published.sources())


@pytest.mark.parametrize(
    ("off_line", "verdicts"),
    [("prefill_joules", ("supported", "supported")), ("decode_joules", ("contradicted", "contradicted"))],
)
def test_energy_is_held_against_the_size(off_line: str, verdicts: tuple[str, str]) -> None:
    """Every second model takes 30 times the joules that its size says, in the one phase or in the other."""
    points = []
    for number in range(1, 13):
        joules = {
            name: number * (30 if name == off_line and number % 2 else 1 + 0.001 * (number % 3))
            for name in ("prefill_joules", "decode_joules")
        }
        points.append(point(f"m{number}", parameters=10**8 * number, **joules))
    own = samples(points, ("prefill_joules", "decode_joules"))
    assert tuple(one.test(own, "here").verdict for one in ENERGY) == verdicts
