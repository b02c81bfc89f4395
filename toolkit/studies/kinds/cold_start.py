"""`cold-start`: loading a model that is in the page cache, and one that is not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.analysis.findings import Finding, Middle, Sample, Statement, linearity
from toolkit.report.configurations import shared_words
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure, Table
from toolkit.studies.data import Point, StudyData
from toolkit.studies.overview import shown
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import profiled

_STATES = ("cold", "warm")
_LOAD, _FIRST = "time to load, ms", "time to the first token after loading, ms"

_COLDER = Statement(
    text="A model that is not in the page cache takes more than twice as long to load",
    source="a question of this toolkit",
    names=("ratio",),
    statistic=Middle(lambda one: one["ratio"]),
    limit=2.0,
    above=True,
    effect="{:.1f}".format,
    unit=" times the warm load",
)
_BY_SIZE = Statement(
    text="The cold load is linear in the artifact's size",
    source="a question of this toolkit",
    names=("load_ms",),
    statistic=linearity("load_ms"),
    limit=0.9,
    above=True,
    effect="R2 {:.3f}".format,
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    # Each process loads once: rounds are the repetitions here, the first token comes along.
    work = {"page_cache": list(_STATES), "repetitions": 1, "warmup": 0, "rounds": 3}
    return profiled(request, subjects, profile=work)


def _state(point: Point) -> str:
    return str(dict(point.key.settings).get("page_cache", "as it was"))


def _pairs(points: Sequence[Point]) -> list[tuple[Point, Point]]:
    """(cold, warm) of the same artifact on the same device."""
    found: dict[tuple[str, str], dict[str, Point]] = defaultdict(dict)
    for point in points:
        found[point.artifact.sha256, point.device.key][_state(point)] = point
    return [(one["cold"], one["warm"]) for one in found.values() if {"cold", "warm"} <= one.keys()]


def _figures(data: StudyData) -> list[StudyFigure]:
    panels = []
    for device, points in data.by_device():
        drawn = [
            Chart(title, "bars", {"x": axis}, _rows(points, name), _columns(axis))
            for title, name, axis in (("Loading", "load_ms", _LOAD), ("First token", "ttft_ms", _FIRST))
        ]
        panels.append(
            Panel(
                data.names.device(device),
                f"Conditions: {shared_words(one.workload for one in points)}; page cache cold or warm.",
                drawn,
                emulated=device.emulated,
            )
        )
    text = (
        "Cold: the runner has the system drop the model's files from memory, makes sure that they are gone, "
        "and then loads. Warm: it reads them first. Engines that map files pay a part of it with the first "
        "token."
    )
    return [StudyFigure("load", "Loading cold and warm", text, panels)]


def _rows(points: Sequence[Point], name: str) -> list[Row]:
    return [
        {
            "label": f"{point.model} {point.series}",
            "series": _state(point),
            "value": point.numbers[name].median,
            "low": point.numbers[name].low,
            "high": point.numbers[name].high,
        }
        for point in points
        if name in point.numbers
    ]


def _columns(axis: str) -> dict[str, str]:
    return {"label": "model", "series": "page cache", "value": axis, "low": "95 % from", "high": "95 % to"}


def _table(data: StudyData) -> Table:
    return Table(
        (
            ("Model", False),
            ("Device", False),
            ("Engine", False),
            ("Page cache", False),
            ("Artifact MB", True),
            ("Load ms", True),
            ("First token ms", True),
            ("Runs", True),
        ),
        [
            [
                point.model,
                data.names.device(point.device) + (" (emulated)" if point.device.emulated else ""),
                point.series,
                _state(point),
                f"{point.artifact.size_bytes / 1e6:.1f}",
                shown(point.numbers.get("load_ms")),
                shown(point.numbers.get("ttft_ms")),
                str(len(point.run_ids)),
            ]
            for point in data.points
        ],
    )


def _findings(data: StudyData) -> list[Finding]:
    found = []
    for device, points in data.by_device():
        where = data.names.device(device) + (" (emulated)" if device.emulated else "")
        own = [
            Sample(
                name=cold.model,
                x=float(cold.artifact.size_bytes),
                values={
                    "ratio": cold.numbers["load_ms"].median / warm.numbers["load_ms"].median,
                    "load_ms": cold.numbers["load_ms"].median,
                },
                rows=(*cold.run_ids, *warm.run_ids),
            )
            for cold, warm in _pairs(points)
            if "load_ms" in cold.numbers and "load_ms" in warm.numbers
        ]
        found += [_COLDER.test(own, where), _BY_SIZE.test(own, where)]
    return found


STUDY = Study(
    name="cold-start",
    title="Cold start",
    question="How long does loading take when the model is not in memory yet, and when it is?",
    survey="",
    template=_template,
    figures=_figures,
    table=_table,
    findings=_findings,
    models="survey-latency",
)
