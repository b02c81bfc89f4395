"""`memory-breakdown`: what the peak memory of a model is made of."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from toolkit.analysis.findings import Finding, Middle, Sample, Statement
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure, Table
from toolkit.studies import published
from toolkit.studies.data import Point, StudyData
from toolkit.studies.study import Study
from toolkit.studies.template import profiled_with_whole_context

# As docs/protocol.md defines them.
PARTS = {
    "weights_mapped": "mapped weights",
    "weights_packed": "packed weights",
    "states": "KV cache and states",
    "compute": "compute",
    "engine": "engine",
    "other": "other",
}
_PUBLISHED_PARTS = {
    "model_parameter_mb": "packed weights",
    "kv_cache_mb": "KV cache and states",
    "compute_buffer_mb": "compute",
    "other_mb": "other",
}
_PUBLISHED = "memory_breakdown"
_MIB_IN_MB = 1.048576
_X = "peak memory, MB"
_COLUMNS = {"label": "model", "part": "part", "value": "MB"}

STATEMENTS = (
    Statement(
        text="Weights take more than half of the peak memory",
        source="survey section 4.3, memory breakdown at a context of 2048",
        names=("weights",),
        statistic=Middle(lambda one: one["weights"]),
        limit=0.5,
        above=True,
        effect="{:.0%}".format,
        unit=" of the peak",
    ),
)


def parts(data: StudyData, point: Point) -> dict[str, float]:
    """MB by part, means over the point's runs; empty where no run tells its memory by part."""
    found: dict[str, list[float]] = {}
    for run in data.store.get_runs(point.run_ids):
        for part in PARTS:
            value = run.measured(f"memory_{part}_bytes")
            if value is not None:
                found.setdefault(part, []).append(value / 1e6)
    return {part: mean(values) for part, values in found.items()}


def _figures(data: StudyData) -> list[StudyFigure]:
    panels = []
    for device, workload, points in data.panels():
        rows: list[Row] = [
            {"label": f"{point.model} {point.series}", "part": words, "value": found[part]}
            for point in points
            if (found := parts(data, point))
            for part, words in PARTS.items()
            if part in found
        ]
        title, caption = data.names.device(device), f"Conditions: {workload}."
        panels.append(Panel(title, caption, [_chart(rows)], emulated=device.emulated))
    text = (
        "What was in memory after the last repetition, and beside it what the peak had more. "
        "Weights that an engine packs itself are in its compute. llama.cpp's buffers are another split: its "
        f"parameters stand for packed weights here. {data.cache_words}"
    ).rstrip()
    return [
        StudyFigure("memory-breakdown", "What the memory is made of", text, [*panels, _published_panel()])
    ]


def _chart(rows: Sequence[Row]) -> Chart:
    return Chart("Memory by part", "stacked", {"x": _X, "parts": list(PARTS.values())}, rows, _COLUMNS)


def _published_panel() -> Panel:
    rows: list[Row] = [
        {"label": str(row["model"]), "part": words, "value": _MIB_IN_MB * float(row[column])}
        for row in published.table(_PUBLISHED)
        for column, words in _PUBLISHED_PARTS.items()
    ]
    source = published.sources()[_PUBLISHED]
    return Panel(source.device, str(source), [_chart(rows)], published=True)


def published_samples() -> list[Sample]:
    """The survey's models as a test takes them."""
    return [
        Sample(
            name=str(row["model"]),
            x=1.0,
            values={"weights": float(row["model_parameter_mb"]) / float(row["total_mb"])},
        )
        for row in published.table(_PUBLISHED)
    ]


def _table(data: StudyData) -> Table:
    rows = []
    for point in data.points:
        found = parts(data, point)
        cells = [found.get(part) for part in PARTS]
        rows.append(
            [
                point.model,
                data.names.device(point.device) + (" (emulated)" if point.device.emulated else ""),
                point.series,
                *("-" if value is None else f"{value:.1f}" for value in cells),
                f"{sum(found.values()):.1f}" if found else "-",
            ]
        )
    titles = (("Model", False), ("Device", False), ("Engine", False))
    return Table((*titles, *((f"{words} MB", True) for words in PARTS.values()), ("Peak MB", True)), rows)


def _findings(data: StudyData) -> list[Finding]:
    other, found = published_samples(), []
    for where, points in data.series():
        own = []
        for point in points:
            split = parts(data, point)
            # Without packed weights apart, the share of all weights is not known. The source is about a whole
            # context.
            if "weights_packed" in split and point.reserves_context:
                weights = split["weights_packed"] + split["weights_mapped"]
                values = {"weights": weights / sum(split.values())}
                x = float(point.artifact.unique_parameters)
                own.append(Sample(name=point.model, x=x, values=values, rows=point.run_ids))
        found += [statement.test(own, where, other) for statement in STATEMENTS]
    return found


STUDY = Study(
    name="memory-breakdown",
    title="Memory breakdown",
    question="What is a model's peak memory made of?",
    survey="Fig. 11 (v3: Fig. 13a)",
    template=profiled_with_whole_context,
    figures=_figures,
    table=_table,
    findings=_findings,
    models="survey-memory",
)
