"""`memory-context`: peak memory as the context that an artifact is made for grows to the model's maximum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.analysis.findings import Finding, Middle, Sample, Statement
from toolkit.models.catalogue.entry import Entry
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure
from toolkit.studies import lengths
from toolkit.studies.data import Point, StudyData
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import Study, Subject
from toolkit.studies.subjects import needed_bytes
from toolkit.studies.template import profiled

_STEPS = (512, 2048, 8192, 32768, 131072)
# Of a model that nobody knows the maximum of.
_UNKNOWN = (512, 2048, 4096)
_X, _Y = "context that the artifact is made for, tokens", "peak memory, MB"

_DOMINATES = Statement(
    text="At a model's longest context, memory that grows with the context is more than half of all",
    source="survey section 4.3, insight on memory: 83 to 90 % for Qwen at 32k and 131k",
    names=("share",),
    statistic=Middle(lambda one: one["share"]),
    limit=0.5,
    above=True,
    effect="{:.0%}".format,
    unit=" of the peak",
)


def contexts(entry: Entry | None, quants: Sequence[str], limit_bytes: float | None) -> list[int]:
    """The contexts of a model: steps up to its maximum, and the maximum, as far as memory goes.

    Args:
        entry: of the catalogue; None for a model that it does not have.
        quants: schemes that it is made with.
        limit_bytes: most memory; None for no limit.
    """
    most = entry.architecture.context if entry else None
    if entry is None or most is None:
        return list(_UNKNOWN)
    wanted = [*(step for step in _STEPS if step < most), most]
    fitting = [
        tokens
        for tokens in wanted
        if limit_bytes is None
        or (needed := needed_bytes(entry, quants, tokens)) is None
        or needed <= limit_bytes
    ]
    return fitting or wanted[:1]


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    limit = None if request.memory_gb is None else request.memory_gb * 1e9
    sizes = {one.reference: contexts(one.entry, request.quant, limit) for one in subjects}
    return profiled(request, subjects, contexts=sizes)


def _figures(data: StudyData) -> list[StudyFigure]:
    found: dict[str, list[Point]] = defaultdict(list)
    for point in data.points:
        found[point.device.key].append(point)
    own = [
        _panel(data, points) for points in sorted(found.values(), key=lambda some: some[0].device.emulated)
    ]
    text = (
        "Peak memory of the runner's process after a prompt of 50 tokens and 50 more. Dashed: the keys and "
        "values of the whole context by their formula, 4 bytes each, on top of the smallest measured. An "
        "engine that reserves the cache and touches what it needs only stays below. The survey gives shares "
        "for this and no curve."
    )
    return [StudyFigure("context", "Memory against context", text, own)]


def _panel(data: StudyData, points: Sequence[Point]) -> Panel:
    rows: list[Row] = []
    for series, some in _series(points).items():
        first = some[0]
        for point in some:
            peak = point.numbers["peak_mb"].median
            rows.append({"series": series, "x": float(point.key.context_length), "y": peak})
        for point in some:
            grown = _grown_bytes(first, point)
            if grown is not None:
                value = first.numbers["peak_mb"].median + grown / 1e6
                rows.append(
                    {"series": f"{series}, by formula", "x": float(point.key.context_length), "y": value}
                )
    device = points[0].device
    return Panel(
        data.names.device(device),
        f"Conditions: {points[0].workload}; contexts as on the axis.",
        [Chart("Peak memory", "lines", {"x": _X, "y": _Y}, rows, {"series": "model", "x": _X, "y": _Y})],
        emulated=device.emulated,
    )


def _grown_bytes(first: Point, point: Point) -> int | None:
    """Keys and values of the longer context less those of the shorter; None where the formula fails."""
    shape = point.entry.architecture if point.entry else None
    if shape is None:
        return None
    short = shape.kv_cache_bytes(first.key.context_length, element_bytes=4)
    whole = shape.kv_cache_bytes(point.key.context_length, element_bytes=4)
    return None if short is None or whole is None else whole - short


def _series(points: Sequence[Point]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = defaultdict(list)
    for point in sorted(points, key=lambda one: one.key.context_length):
        if "peak_mb" in point.numbers:
            found[f"{point.model} {point.series}"].append(point)
    return found


def _findings(data: StudyData) -> list[Finding]:
    found = []
    devices: dict[str, list[Point]] = defaultdict(list)
    for point in data.points:
        devices[point.device.key].append(point)
    for points in devices.values():
        own: dict[str, list[Sample]] = defaultdict(list)
        for some in _series(points).values():
            if len(some) >= 2:
                small, large = some[0].numbers["peak_mb"], some[-1].numbers["peak_mb"]
                own[some[0].series].append(
                    Sample(
                        name=some[0].model,
                        x=float(some[-1].key.context_length),
                        values={"share": 1 - small.median / large.median},
                        rows=(*some[0].run_ids, *some[-1].run_ids),
                    )
                )
        device = data.names.device(points[0].device)
        found += [_DOMINATES.test(some, f"{device}, {series}") for series, some in own.items()]
    return found


STUDY = Study(
    name="memory-context",
    title="Memory and context",
    question="How does memory grow with the context, up to each model's maximum?",
    survey="Fig. 13b of v3",
    template=_template,
    figures=_figures,
    table=lengths.table,
    findings=_findings,
    models="Qwen1.5-0.5B,Qwen2-0.5B",
)
