"""`memory-context`: peak memory as the context, all of it in memory, grows to the model's maximum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.analysis.findings import Finding, Middle, Sample, Statement
from toolkit.models.catalogue.entry import Entry
from toolkit.report.configurations import shared_words
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure
from toolkit.studies import lengths
from toolkit.studies.data import Point, StudyData
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import LeftOut, Study, Subject
from toolkit.studies.subjects import needed_bytes
from toolkit.studies.template import WHOLE_CONTEXT, profiled

_STEPS = (512, 2048, 8192, 32768, 131072)
# Of a model that nobody knows the maximum of.
_UNKNOWN = (512, 2048, 4096)
_X, _Y = "context, tokens", "peak memory, MB"

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

    The shortest is always among them: what does not fit at all, nobody chose.

    Args:
        entry: of the catalogue; None for a model that it does not have.
        quants: schemes that it is made with.
        limit_bytes: most memory; None for no limit.
    """
    first, *longer = _wanted(entry)
    return [first, *(one for one in longer if _missing_bytes(entry, quants, one, limit_bytes) is None)]


def _wanted(entry: Entry | None) -> Sequence[int]:
    most = entry.architecture.context if entry else None
    return _UNKNOWN if most is None else (*(step for step in _STEPS if step < most), most)


def _missing_bytes(
    entry: Entry | None, quants: Sequence[str], tokens: int, limit_bytes: float | None
) -> float | None:
    """What a context needs where that is above the limit; None where it is not, or nobody knows."""
    needed = None if entry is None or limit_bytes is None else needed_bytes(entry, quants, tokens)
    return needed if needed is not None and limit_bytes is not None and needed > limit_bytes else None


def _limit_bytes(request: StudyRequest) -> float | None:
    return None if request.memory_gb is None else request.memory_gb * 1e9


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    limit = _limit_bytes(request)
    sizes = {one.reference: contexts(one.entry, request.quant, limit) for one in subjects}
    return profiled(request, subjects, contexts=sizes, profile=WHOLE_CONTEXT)


def _leaves_out(request: StudyRequest, subjects: Sequence[Subject]) -> list[LeftOut]:
    """The contexts for which there is no memory."""
    left = []
    for one in subjects:
        for tokens in _wanted(one.entry)[1:]:
            needed = _missing_bytes(one.entry, request.quant, tokens, _limit_bytes(request))
            if needed is not None:
                why = f"needs about {needed / 1e9:.1f} GB, the limit is {request.memory_gb:.1f} GB"
                left.append(LeftOut(one.name, f"a context of {tokens} {why}"))
    return left


def _figures(data: StudyData) -> list[StudyFigure]:
    found: dict[str, list[Point]] = defaultdict(list)
    for point in data.points:
        found[point.device.key].append(point)
    own = [
        _panel(data, points) for points in sorted(found.values(), key=lambda some: some[0].device.emulated)
    ]
    text = (
        "Peak memory of the runner's process. By formula: 4 bytes for each key and value, on top of the "
        f"smallest measured. The survey gives shares for this and no curve. {data.cache_words}"
    ).rstrip()
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
        f"Conditions: {shared_words(one.workload for one in points)}; contexts as on the axis.",
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
            samples = own[some[0].series]
            if len(some) >= 2 and _goes_to_the_maximum(some):
                small, large = some[0].numbers["peak_mb"], some[-1].numbers["peak_mb"]
                samples.append(
                    Sample(
                        name=some[0].model,
                        x=float(some[-1].key.context_length),
                        values={"share": 1 - small.median / large.median},
                        rows=(*some[0].run_ids, *some[-1].run_ids),
                    )
                )
        device = data.names.device(points[0].device) + (" (emulated)" if points[0].device.emulated else "")
        found += [_DOMINATES.test(some, f"{device}, {series}") for series, some in own.items()]
    return found


def _goes_to_the_maximum(points: Sequence[Point]) -> bool:
    """Whether the last of a model's points has its longest context, and all have theirs in memory."""
    entry, longest = points[-1].entry, points[-1].key.context_length
    is_maximum = entry is not None and longest == entry.architecture.context
    return is_maximum and all(one.reserves_context for one in points)


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
    leaves_out=_leaves_out,
)
