"""`long-context`: facts hidden in long texts, over length and depth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from toolkit.analysis.findings import Finding, Middle, Sample, Statement
from toolkit.errors import UsageError
from toolkit.evaluate.needle.grid import given_depths, given_lengths
from toolkit.evaluate.needle.haystack import KINDS
from toolkit.evaluate.needle.needle_scores import middle_of_cells
from toolkit.evaluate.stored.score_rows import cells
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure, Table
from toolkit.store.evaluations import items_of
from toolkit.studies import published
from toolkit.studies.data import StudyData
from toolkit.studies.kinds.memory_context import contexts
from toolkit.studies.request import StudyRequest
from toolkit.studies.scored import Scored, by_place, per_doubling, scored
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import evaluated

# Beyond it a grid takes days on a phone.
_LONGEST = 32768
_LENGTH, _DEPTH, _FOUND = "tokens of the text", "depth, percent", "share found"

# Length, depth from 0 to 1, share found.
Cell = tuple[int, float, float]

_BY_LENGTH = (
    Statement(
        text="Facts in the middle of a text (20 to 70 % deep) are found less often than others",
        source="survey section 3.4, after Liu et al., 2023",
        names=("lost",),
        statistic=Middle(lambda one: 100 * one["lost"]),
        limit=0.0,
        above=True,
        effect="{:+.1f}".format,
        unit=" percentage points less in the middle",
    ),
    Statement(
        text="The longer the text, the fewer facts are found",
        source="survey section 3.4",
        names=("rise",),
        statistic=Middle(lambda one: one["rise"]),
        limit=0.0,
        above=False,
        effect="{:+.1f}".format,
        unit=" percentage points for a text twice as long",
    ),
)
_LARGER = Statement(
    text="Larger models find more",
    source="survey section 3.4",
    names=("mean",),
    statistic=lambda draw: per_doubling(draw, "mean"),
    limit=0.0,
    above=True,
    effect="{:+.1f}".format,
    unit=" percentage points for twice the parameters",
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    limit = None if request.memory_gb is None else request.memory_gb * 1e9
    longest = {
        one.reference: [min(contexts(one.entry, request.quant, limit)[-1], _LONGEST)]
        for one in subjects
        if one.entry is not None
    }
    asked = given_lengths(request.lengths)
    if request.depths is not None:
        given_depths(request.depths)
    for one in subjects:
        room = longest.get(one.reference, [_LONGEST])[0]
        if asked and asked[-1] > room:
            raise UsageError(
                f"--lengths {request.lengths}: texts for {one.name} have {room} tokens at most here",
                subject="study long-context",
                next_step=f"Ask for lengths of up to {room}, leave it out of --models, or raise --memory-gb.",
            )
    return evaluated(request, subjects, {"needle": True}, contexts=longest)


def grids(data: StudyData, one: Scored) -> dict[str, list[Cell]]:
    """Cells of each kind of needle of the latest evaluation, and their mean under "mean"."""
    found: dict[str, list[Cell]] = {}
    for kind in KINDS:
        if items := items_of(data.store, one.evaluation.id, f"needle:{kind}", 0):
            found[kind] = sorted(cells(items))
    together: dict[tuple[int, float], list[float]] = defaultdict(list)
    for grid in found.values():
        for length, depth, value in grid:
            together[length, depth].append(value)
    mean = [(length, depth, fmean(some)) for (length, depth), some in sorted(together.items())]
    return found | ({"mean": mean} if mean else {})


def _figures(data: StudyData) -> list[StudyFigure]:
    axes = {"x": _LENGTH, "y": _DEPTH, "value": _FOUND}
    panels = []
    for one in scored(data):
        charts = []
        for kind, grid in grids(data, one).items():
            rows: list[Row] = [
                {"x": float(length), "y": 100 * depth, "value": value} for length, depth, value in grid
            ]
            charts.append(Chart(kind, "heat", axes, rows, axes))
        panels.append(Panel(one.label, one.series, charts))
    text = (
        "The share of hidden facts that the model names, by the length of the text and by how deep the first "
        "of them stands. single: one fact; several: three, each asked for; reasoning: three that lead to "
        "each other; the mean of the three is the survey's score. Its numbers are such means, of other texts."
    )
    return [StudyFigure("needles", "Needles in a haystack", text, [*panels, _published_panel()])]


def _published_panel() -> Panel:
    source = published.sources()["needles"]
    rows: list[Row] = [
        {"label": str(row["model"]), "series": "published", "value": float(row["mean_percent"]) / 100}
        for row in published.table("needles")
    ]
    chart = Chart("Mean", "bars", {"x": _FOUND}, rows, {"label": "model", "value": _FOUND})
    return Panel(source.device, str(source), [chart], published=True)


def _table(data: StudyData) -> Table:
    rows = []
    for one in scored(data):
        for kind, grid in grids(data, one).items():
            middle, outside = middle_of_cells([(depth, value) for _, depth, value in grid])
            lengths = sorted({length for length, _, _ in grid})
            rows.append(
                [
                    one.model,
                    one.evaluation.quantization,
                    one.evaluation.place,
                    kind,
                    f"{lengths[0]} to {lengths[-1]}",
                    f"{fmean(value for _, _, value in grid):.1%}",
                    *("-" if value is None else f"{value:.1%}" for value in (middle, outside)),
                ]
            )
    texts = [(title, False) for title in ("Model", "Quantization", "Place", "Needles")]
    return Table(
        (*texts, *((title, True) for title in ("Tokens", "Found", "In the middle", "Elsewhere"))), rows
    )


def sample_of(model: str, parameters: float, grid: Sequence[Cell], rows: tuple[str, ...] = ()) -> Sample:
    """One model: what it found, how much less of it in the middle, and what twice the length changes."""
    by_length: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for length, depth, value in grid:
        by_length[length].append((depth, value))
    found = [(float(length), {"found": fmean(one for _, one in some)}) for length, some in by_length.items()]
    values = {"mean": fmean(value for _, _, value in grid)}
    lost = [
        outside - middle
        for middle, outside in map(middle_of_cells, by_length.values())
        if middle is not None and outside is not None
    ]
    if lost:
        values["lost"] = fmean(lost)
    if (rise := per_doubling(found, "found")) is not None:
        values["rise"] = rise
    return Sample(model, parameters, values, rows=rows)


def _published_samples() -> list[Sample]:
    return [
        Sample(str(row["model"]), float(row["parameters"]), {"mean": float(row["mean_percent"]) / 100})
        for row in published.table("needles")
    ]


def _findings(data: StudyData) -> list[Finding]:
    found = []
    for place, some in by_place(scored(data)):
        models = [
            sample_of(one.model, float(one.parameters), grid, one.evaluation_ids)
            for one in some
            if (grid := grids(data, one).get("mean"))
        ]
        found += [statement.test(models, place) for statement in _BY_LENGTH]
        found.append(_LARGER.test(models, place, _published_samples()))
    return found


STUDY = Study(
    name="long-context",
    title="Long context",
    question="How well do models find facts in long texts, by length and depth?",
    survey="section 3.4 of v3",
    template=_template,
    figures=_figures,
    table=_table,
    findings=_findings,
    models="Qwen1.5-0.5B,Qwen2-0.5B",
    protocol="standard",
    weights="real",
    takes=("lengths", "depths", "trials"),
)
