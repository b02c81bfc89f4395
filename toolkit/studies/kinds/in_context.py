"""`in-context`: what examples in the prompt bring, by task and by size of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from toolkit.analysis.findings import Finding, Middle, Sample, Statement
from toolkit.evaluate.tasks.presets import IN_CONTEXT
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure, Table
from toolkit.studies.data import StudyData
from toolkit.studies.request import StudyRequest
from toolkit.studies.scored import Scored, by_place, per_doubling, scored, task_words
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import evaluated

SHOTS = (0, 1, 5)
_SOURCE = "survey section 3.3"
_SHOTS_AXIS, _ACCURACY = "examples in the prompt", "accuracy"
_PARAMETERS, _GAIN = "unique parameters (log)", "5 shots less none, percentage points"
_MOST = "arc_challenge"
_FLAT = ("hellaswag", "piqa")

STATEMENTS = (
    Statement(
        text="Five examples raise the mean accuracy",
        source=_SOURCE + ": by 2.1 % on average",
        names=("gain",),
        statistic=Middle(lambda one: 100 * one["gain"]),
        limit=0.0,
        above=True,
        effect="{:+.1f}".format,
        unit=" percentage points",
    ),
    Statement(
        text="Larger models gain more from examples",
        source=_SOURCE,
        names=("gain",),
        statistic=lambda draw: per_doubling(draw, "gain"),
        limit=0.0,
        above=True,
        effect="{:+.1f}".format,
        unit=" percentage points more for twice the parameters",
    ),
    Statement(
        text="ARC-challenge gains more than the other tasks",
        source=_SOURCE,
        names=(_MOST, "others"),
        statistic=Middle(lambda one: 100 * (one[_MOST] - one["others"])),
        limit=0.0,
        above=True,
        effect="{:+.1f}".format,
        unit=" percentage points more than the others' mean",
    ),
    Statement(
        text="HellaSwag and PIQA gain less than one percentage point",
        source=_SOURCE,
        names=_FLAT,
        statistic=Middle(lambda one: 100 * fmean(one[task] for task in _FLAT)),
        limit=1.0,
        above=False,
        effect="{:+.1f}".format,
        unit=" percentage points",
    ),
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    return evaluated(request, subjects, {"tasks": ",".join(IN_CONTEXT), "shots": list(SHOTS)})


def gains(one: Scored) -> dict[str, float]:
    """What the most examples bring over none, as shares: by task, and of the mean under "gain"."""
    found = {}
    for task in one.tasks:
        before, after = one.accuracy(task, SHOTS[0]), one.accuracy(task, SHOTS[-1])
        if before is not None and after is not None:
            found[task] = after - before
    if not found:
        return {}
    others = [value for task, value in found.items() if task != _MOST]
    return found | {"gain": fmean(found.values())} | ({"others": fmean(others)} if others else {})


def _figures(data: StudyData) -> list[StudyFigure]:
    panels = []
    for place, some in by_place(scored(data)):
        charts = [
            _chart(task, [(one, partial(one.accuracy, task)) for one in some])
            for task in sorted({task for one in some for task in one.tasks})
        ]
        charts.append(_chart("Mean", [(one, partial(mean, one)) for one in some]))
        fitted: list[Row] = [
            {"label": one.label, "x": float(one.parameters), "y": 100 * found["gain"]}
            for one in some
            if (found := gains(one))
        ]
        if fitted:
            columns = {"label": "model", "x": _PARAMETERS, "y": _GAIN}
            charts.append(Chart("Gain against size", "fit", {"x": _PARAMETERS, "y": _GAIN}, fitted, columns))
        panels.append(Panel(place, f"A line per artifact. Tasks: {task_words(some)}.", charts))
    text = (
        "Accuracy with no, one and five examples in the prompt, a chart for each task; last what five "
        "examples bring against the size of the model, with the line through it. The survey's Fig. 6 has the "
        "same panels; of its numbers only some are stated: five shots gain 2.1 % on average, Gemma-2 4.8 %."
    )
    return [StudyFigure("in-context", "What examples bring", text, panels)]


def mean(one: Scored, shots: int) -> float | None:
    """Over tasks that have all numbers of shots: what the others know would move it, and not the examples."""
    found = [[one.accuracy(task, count) for count in SHOTS] for task in one.tasks]
    values = [by_shots[SHOTS.index(shots)] for by_shots in found if None not in by_shots]
    return fmean(value for value in values if value is not None) if values else None


def _chart(title: str, series: Sequence[tuple[Scored, Callable[[int], float | None]]]) -> Chart:
    rows: list[Row] = [
        {"series": one.label, "x": float(shots), "y": value}
        for one, at in series
        for shots in SHOTS
        if (value := at(shots)) is not None
    ]
    axes = {"x": _SHOTS_AXIS, "y": _ACCURACY, "zero": False}
    return Chart(title, "lines", axes, rows, {"series": "model", "x": _SHOTS_AXIS, "y": _ACCURACY})


def _table(data: StudyData) -> Table:
    found = scored(data)
    tasks = sorted({task for one in found for task in one.tasks})
    rows = []
    for one in found:
        gained = gains(one).get("gain")
        for shots in SHOTS:
            cells = [*(one.accuracy(task, shots) for task in tasks), mean(one, shots)]
            rows.append(
                [
                    one.model,
                    one.evaluation.quantization,
                    one.evaluation.place,
                    str(shots),
                    *("-" if cell is None else f"{cell:.3f}" for cell in cells),
                    "-" if gained is None or shots != SHOTS[-1] else f"{100 * gained:+.1f}",
                ]
            )
    titles = (("Model", False), ("Quantization", False), ("Place", False), ("Shots", True))
    return Table((*titles, *((name, True) for name in (*tasks, "Mean", "Gain, points"))), rows)


def _findings(data: StudyData) -> list[Finding]:
    found = []
    for place, some in by_place(scored(data)):
        own = [Sample(one.model, float(one.parameters), gains(one), rows=one.evaluation_ids) for one in some]
        found += [statement.test(own, place) for statement in STATEMENTS]
    return found


STUDY = Study(
    name="in-context",
    title="In-context learning",
    question="What do examples in the prompt bring, by task and by size of the model?",
    survey="Fig. 6",
    template=_template,
    figures=_figures,
    table=_table,
    findings=_findings,
    models="survey-latency",
    protocol="standard",
    weights="real",
    takes=("tasks", "items", "include_path"),
)
