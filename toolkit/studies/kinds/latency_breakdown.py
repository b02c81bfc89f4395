"""`latency-breakdown`: which part of the model takes which share of the prefill and of decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from toolkit.analysis.findings import Finding, Middle, Sample, Statement
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure, Table
from toolkit.store.measurements import OPERATOR_NAMES
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
    "engine": "engine",
    "runner": "runner",
    "other": "other",
}
# Columns of the published tables, by what stands for them here.
_PUBLISHED_PARTS = {"attention": ("attention",), "feed_forward": ("ffn",), "lm_head": ("lm_head",)}
_PUBLISHED_OPERATORS = {
    "products": ("mul_mat_vec_q", "gemm"),
    "elementwise": ("k_bin_bcast",),
    "copies": ("cpy_f32_f16",),
    "quantizing": ("quantize_q8_1",),
    "other": ("other",),
}
_SOURCE = "survey section 4.3, latency breakdown"
_SHARE = "share of the phase's time"
# The paper's text on the share of matrix-vector products; its insight has 70 %.
_TEXT_SAYS = 80.0

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
    Statement(
        text="Matrix products take more than 70 % of each generated token's time",
        source=_SOURCE + ", insight on operators",
        names=("decode_operators_products",),
        statistic=Middle(lambda one: one["decode_operators_products"]),
        limit=70.0,
        above=True,
        effect="{:.0f} %".format,
        unit=" of a generated token's time",
    ),
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    return profiled(request, subjects, profile={"breakdown": True})


def shares(data: StudyData, point: Point) -> dict[str, float]:
    """Percent by ``phase_part`` and ``phase_operators_kind``, means over the point's runs.

    Empty where no run was broken down; runs of before operators were stored have parts only. Where some runs
    tell the engine's work from other operators, those of before, which do not, are left out.
    """
    found: dict[str, list[float]] = {}
    names = [*PARTS, *(f"operators_{kind}" for kind in OPERATOR_NAMES)]
    runs = data.store.get_runs(point.run_ids)
    for run in [run for run in runs if run.measured("decode_engine_percent") is not None] or runs:
        for name in (f"{phase}_{one}" for phase in PHASES for one in names):
            value = run.measured(f"{name}_percent")
            if value is not None:
                found.setdefault(name, []).append(value)
    return {name: mean(values) for name, values in found.items()}


def _figures(data: StudyData) -> list[StudyFigure]:
    broken_down = {id(point): shares(data, point) for point in data.points}

    def own(title: str, prefix: str, parts: Mapping[str, str]) -> list[Panel]:
        panels = []
        for device, workload, points in data.panels():
            rows: list[Row] = [
                {
                    "label": f"{point.model} {phase}" + (f" {point.series}" if _several(points) else ""),
                    "part": words,
                    "value": value,
                }
                for point in points
                for phase in PHASES
                for part, words in parts.items()
                if (value := broken_down[id(point)].get(f"{phase}_{prefix}{part}")) is not None
            ]
            chart = _chart(title, parts, rows)
            panels.append(
                Panel(
                    data.names.device(device), f"Conditions: {workload}.", [chart], emulated=device.emulated
                )
            )
        return panels

    parts_text = (
        "Shares of a traced pass of its own, in which the engine times each operator; timed repetitions are "
        "not touched. The published panel has no norms and no rest."
    )
    operators_text = (
        "The same pass by kind of operator. An engine that has attention as one operator has the products of "
        "queries, keys and values in it; llama.cpp has them among its products, and has no norms apart."
    )
    by_part, by_operator = "Shares by part", "Shares by operator"
    return [
        StudyFigure(
            "breakdown",
            "Where the time goes",
            parts_text,
            [
                *own(by_part, "", PARTS),
                _published_panel(by_part, "latency_breakdown", PARTS, _PUBLISHED_PARTS),
            ],
        ),
        StudyFigure(
            "operators",
            "Which operators take the time",
            operators_text,
            [
                *own(by_operator, "operators_", OPERATOR_NAMES),
                _published_panel(by_operator, "latency_operators", OPERATOR_NAMES, _PUBLISHED_OPERATORS),
            ],
        ),
    ]


def _chart(title: str, parts: Mapping[str, str], rows: Sequence[Row]) -> Chart:
    options = {"x": _SHARE, "share": True, "parts": list(parts.values())}
    return Chart(
        title, "stacked", options, rows, {"label": "model and phase", "part": "part", "value": "percent"}
    )


def _several(points: Sequence[Point]) -> bool:
    return len({point.series for point in points}) > 1


def _published_panel(
    title: str, name: str, parts: Mapping[str, str], columns: Mapping[str, Sequence[str]]
) -> Panel:
    rows: list[Row] = [
        {"label": str(row["model_phase"]), "part": parts[part], "value": _percent(row, some)}
        for row in published.table(name)
        for part, some in columns.items()
    ]
    source = published.sources()[name]
    return Panel(source.device, str(source), [_chart(title, parts, rows)], published=True)


def _percent(row: published.Row, columns: Sequence[str]) -> float:
    return 100 * sum(float(row[column]) for column in columns)


def published_samples() -> list[Sample]:
    """The survey's two models as a test takes them."""
    found: dict[str, dict[str, float]] = {}
    for name, prefix, columns in (
        ("latency_breakdown", "", _PUBLISHED_PARTS),
        ("latency_operators", "operators_", _PUBLISHED_OPERATORS),
    ):
        for row in published.table(name):
            model, _, phase = str(row["model_phase"]).partition(" ")
            for part, some in columns.items():
                found.setdefault(model, {})[f"{phase}_{prefix}{part}"] = _percent(row, some)
    return [Sample(name=model, x=1.0, values=values) for model, values in found.items()]


def published_products() -> Finding:
    """Whether the share of matrix-vector products that the survey's text names is that of its figure."""
    found = [100 * float(row["mul_mat_vec_q"]) for row in published.table("latency_operators")]
    return Finding(
        f"Matrix-vector products take more than {_TEXT_SAYS:.0f} % of the time",
        _SOURCE + ", text; its insight says 70 %",
        "published numbers",
        "contradicted" if max(found) < _TEXT_SAYS else "not enough data",
        f"{min(found):.1f} to {max(found):.1f} % in its figure, of two models in both phases",
        "the figure's bars are below what the text says of them, and above what the insight says",
        value=max(found),
    )


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
    return [*found, published_products()]


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
