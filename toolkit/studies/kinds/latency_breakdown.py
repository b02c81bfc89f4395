"""`latency-breakdown`: which part of the model takes which share of the prefill and of decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from toolkit.analysis.findings import Finding, Middle, Sample, Statement
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure, Table
from toolkit.studies import published
from toolkit.studies.data import Point, StudyData
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import profiled

PHASES = ("prefill", "decode")
# As docs/protocol.md defines them, in the words of the published table.
PARTS = {
    "embedding": "embedding",
    "attention": "attention",
    "feed_forward": "feed-forward",
    "norms": "norms",
    "lm_head": "LM head",
    "other": "other",
}
_PUBLISHED_PARTS = {"attention": "attention", "feed_forward": "ffn", "lm_head": "lm_head"}
_SOURCE = "survey section 4.3, latency breakdown"
_SHARE = "share of the phase's time"

STATEMENTS = (
    Statement(
        text="Attention takes a larger share of decoding than of the prefill",
        source=_SOURCE + ", text on Qwen1.5-0.5B",
        names=("prefill_attention", "decode_attention"),
        statistic=Middle(lambda one: one["decode_attention"] - one["prefill_attention"]),
        limit=0.0,
        above=True,
        effect="{:+.1f}".format,
        unit=" percentage points more in decoding",
    ),
    Statement(
        text="Attention and feed-forward take more than half of each generated token's time",
        source=_SOURCE,
        names=("decode_attention", "decode_feed_forward"),
        statistic=Middle(lambda one: one["decode_attention"] + one["decode_feed_forward"]),
        limit=50.0,
        above=True,
        effect="{:.0f} %".format,
        unit=" of a generated token's time",
    ),
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    return profiled(request, subjects, profile={"breakdown": True})


def shares(data: StudyData, point: Point) -> dict[str, float]:
    """Percent by ``phase_part``, means over the point's runs; empty where no run was broken down."""
    found: dict[str, list[float]] = {}
    for run in data.store.get_runs(point.run_ids):
        for phase in PHASES:
            for part in PARTS:
                value = run.measured(f"{phase}_{part}_percent")
                if value is not None:
                    found.setdefault(f"{phase}_{part}", []).append(value)
    return {name: mean(values) for name, values in found.items()}


def _figures(data: StudyData) -> list[StudyFigure]:
    panels = []
    for device, workload, points in data.panels():
        rows: list[Row] = [
            {
                "label": f"{point.model} {phase}" + (f" {point.series}" if _several(points) else ""),
                "part": words,
                "value": found[f"{phase}_{part}"],
            }
            for point in points
            if (found := shares(data, point))
            for phase in PHASES
            for part, words in PARTS.items()
            if f"{phase}_{part}" in found
        ]
        chart = Chart("Shares by part", "stacked", _OPTIONS, rows, _COLUMNS)
        panels.append(
            Panel(data.names.device(device), f"Conditions: {workload}.", [chart], emulated=device.emulated)
        )
    text = (
        "Shares of a traced pass of its own, in which the engine times each operator; timed repetitions are "
        "not touched. The published panel has no norms and no rest."
    )
    return [StudyFigure("breakdown", "Where the time goes", text, [*panels, _published_panel()])]


_OPTIONS = {"x": _SHARE, "share": True, "parts": list(PARTS.values())}
_COLUMNS = {"label": "model and phase", "part": "part", "value": "percent"}


def _several(points: Sequence[Point]) -> bool:
    return len({point.series for point in points}) > 1


def _published_panel() -> Panel:
    rows: list[Row] = [
        {"label": str(row["model_phase"]), "part": PARTS[part], "value": 100 * float(row[column])}
        for row in published.table("latency_breakdown")
        for part, column in _PUBLISHED_PARTS.items()
    ]
    source = published.sources()["latency_breakdown"]
    chart = Chart("Shares by part", "stacked", _OPTIONS, rows, _COLUMNS)
    return Panel(source.device, str(source), [chart], published=True)


def published_samples() -> list[Sample]:
    """The survey's two models as a test takes them."""
    found: dict[str, dict[str, float]] = {}
    for row in published.table("latency_breakdown"):
        model, _, phase = str(row["model_phase"]).partition(" ")
        for part, column in _PUBLISHED_PARTS.items():
            found.setdefault(model, {})[f"{phase}_{part}"] = 100 * float(row[column])
    return [Sample(name=model, x=1.0, values=values) for model, values in found.items()]


def _table(data: StudyData) -> Table:
    rows = []
    for point in data.points:
        found = shares(data, point)
        for phase in PHASES:
            cells = [found.get(f"{phase}_{part}") for part in PARTS]
            rows.append(
                [
                    point.model,
                    data.names.device(point.device) + (" (emulated)" if point.device.emulated else ""),
                    point.series,
                    phase,
                    *("-" if value is None else f"{value:.1f}" for value in cells),
                ]
            )
    titles = (("Model", False), ("Device", False), ("Engine", False), ("Phase", False))
    return Table((*titles, *((f"{words} %", True) for words in PARTS.values())), rows)


def _findings(data: StudyData) -> list[Finding]:
    other, found = published_samples(), []
    for where, points in data.series():
        own = [
            Sample(
                name=point.model,
                x=float(point.artifact.unique_parameters),
                values=shares(data, point),
                rows=point.run_ids,
            )
            for point in points
        ]
        found += [statement.test(own, where, other) for statement in STATEMENTS]
    return found


STUDY = Study(
    name="latency-breakdown",
    title="Latency breakdown",
    question="Which parts of a model take which share of the prefill and of each generated token?",
    survey="Fig. 10 (v3: Fig. 12)",
    template=_template,
    figures=_figures,
    table=_table,
    findings=_findings,
    models="Qwen1.5-0.5B,Qwen2-0.5B",
)
