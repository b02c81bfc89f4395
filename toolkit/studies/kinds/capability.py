"""`capability`: what models know after conversion, against their size and their speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from statistics import correlation, fmean
from typing import Any

from toolkit.analysis.findings import Draw, Finding, Middle, Sample, Statement
from toolkit.analysis.pareto import pareto_front
from toolkit.compress.presets import PRESETS
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure, Table
from toolkit.studies.data import StudyData
from toolkit.studies.request import StudyRequest
from toolkit.studies.scored import OVERALL, Scored, by_place, per_doubling, scored, task_words
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import evaluated

_ACCURACY = "mean accuracy"
_SIZE, _SPEED, _ENERGY = "artifact, MB (log)", "tokens decoded per second", "joules per generated token (log)"
_GROUPS = ("commonsense", "problem solving", "mathematics", OVERALL)


def _larger_is_better(draw: Draw) -> float | None:
    xs, ys = [log10(x) for x, _ in draw], [values["accuracy"] for _, values in draw]
    return correlation(xs, ys) if len(set(xs)) > 2 and len(set(ys)) > 1 else None


def _steeper(draw: Draw) -> float | None:
    problems, common = per_doubling(draw, "problem solving"), per_doubling(draw, "commonsense")
    return None if problems is None or common is None else problems - common


_LARGER = Statement(
    text="Larger models are more accurate",
    source="survey section 3.2",
    names=("accuracy",),
    statistic=_larger_is_better,
    limit=0.0,
    above=True,
    effect="{:+.2f}".format,
    unit=" correlation of mean accuracy with the logarithm of parameters",
)
_PROBLEMS = Statement(
    text="Solving problems gains more from size than common sense does",
    source="survey section 3.2: 13.5 % against 10.4 % from 2022 to 2024; that size does it is ours to test",
    names=("commonsense", "problem solving"),
    statistic=_steeper,
    limit=0.0,
    above=True,
    effect="{:+.1f}".format,
    unit=" percentage points more for twice the parameters",
)
_KEPT = Statement(
    text="4-bit weights keep at least 95 % of the accuracy that 8-bit weights or floats have",
    source="a question of this toolkit",
    names=("kept",),
    statistic=Middle(lambda one: one["kept"]),
    limit=0.95,
    above=True,
    effect="{:.1%}".format,
    unit=" of the accuracy kept",
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    return evaluated(request, subjects, {"tasks": "survey"}, timed=True)


def medians(data: StudyData, name: str) -> dict[tuple[str, str], float]:
    """A measured number by artifact and what tells its device from all others."""
    return {
        (point.artifact.sha256, point.device.identity or point.device.serial): point.numbers[name].median
        for point in data.points
        if name in point.numbers
    }


def speeds(data: StudyData) -> dict[tuple[str, str], float]:
    """Tokens decoded per second by artifact and device's serial."""
    return {where: 1e3 / milliseconds for where, milliseconds in medians(data, "decode_ms").items()}


def _figures(data: StudyData) -> list[StudyFigure]:
    fast, joules = speeds(data), medians(data, "decode_joules")
    panels = []
    for place, some in by_place(scored(data)):
        charts = [_chart("Accuracy against size", _SIZE, by_size(some), log=True)]
        if rows := by_speed(some, fast):
            charts.append(_chart("Accuracy against speed", _SPEED, rows, log=False))
        if rows := by_energy(some, joules):
            charts.append(_chart("Accuracy against energy", _ENERGY, rows, log=True))
        if rows := by_date(some):
            charts.append(_dates("Accuracy by date", _ACCURACY, rows))
        panels.append(Panel(place, f"Mean of {task_words(some)}.", charts))
    text = (
        "Each point is an artifact; those on the line are beaten by no other in accuracy and size, speed or "
        "energy. Accuracy is the mean of the survey's two first groups where all of their tasks were asked, "
        "else of the tasks that were. The published panel has the authors' scores of the original weights."
    )
    return [StudyFigure("capability", "What models know", text, [*panels, _published_panel(data)])]


def _chart(title: str, x: str, rows: list[Row], *, log: bool) -> Chart:
    columns = {"label": "model", "x": x, "y": _ACCURACY, "front": "on the front"}
    return Chart(title, "front", {"x": x, "y": _ACCURACY, "log": log}, rows, columns)


def _dates(title: str, y: str, rows: list[Row]) -> Chart:
    columns = {"label": "model", "series": "family", "x": "released", "y": y}
    return Chart(title, "dates", {"x": "released", "y": y}, rows, columns)


def by_size(found: Sequence[Scored]) -> list[Row]:
    """Rows of the chart of accuracy against size."""
    return _rows([(one, one.evaluation.size_bytes / 1e6) for one in found if one.evaluation.size_bytes], 1)


def by_speed(found: Sequence[Scored], fast: Mapping[tuple[str, str], float]) -> list[Row]:
    """Rows of the chart of accuracy against speed, of what was profiled where it answered."""
    known = [(one, fast.get(_answered(one))) for one in found]
    return _rows([(one, speed) for one, speed in known if speed is not None], -1)


def by_energy(found: Sequence[Scored], joules: Mapping[tuple[str, str], float]) -> list[Row]:
    """Rows of the chart of accuracy against the energy of a generated token, where that was measured."""
    known = [(one, joules.get(_answered(one))) for one in found]
    return _rows([(one, energy) for one, energy in known if energy is not None and energy > 0], 1)


def by_date(found: Sequence[Scored]) -> list[Row]:
    """Rows of the chart over the month in which a model came out, of those in the catalogue."""
    return [
        {"label": one.label, "series": one.entry.family, "x": one.entry.released, "y": mean}
        for one in found
        if one.entry and one.entry.released and (mean := one.means().get(OVERALL)) is not None
    ]


def _answered(one: Scored) -> tuple[str, str]:
    """Artifact and place of what answered, as :func:`medians` has them; its name is the user's own word."""
    return one.evaluation.artifact_sha256 or "", one.evaluation.place_identity


def _rows(found: Sequence[tuple[Scored, float]], sign: int) -> list[Row]:
    """Points with their accuracy; ``sign`` is -1 where more of x is better."""
    points = [(one, x, mean) for one, x in found if (mean := one.means().get(OVERALL)) is not None]
    front = pareto_front(points, lambda point: (sign * point[1], -point[2]))
    return [
        {
            "label": one.label,
            "series": one.model,
            "x": x,
            "y": mean,
            "front": "yes" if any(point[0] is one for point in front) else "no",
        }
        for one, x, mean in points
    ]


def _published_panel(data: StudyData) -> Panel:
    """The authors' scores in the catalogue, over the month in which a model came out."""
    charts = []
    for title, name in (("Common sense", "commonsense"), ("Problem solving", "problem_solving")):
        rows: list[Row] = [
            {"label": entry.name, "series": entry.family, "x": entry.released, "y": value}
            for entry in data.catalogue.values()
            if entry.released and entry.accuracy and (value := getattr(entry.accuracy, name)) is not None
        ]
        charts.append(_dates(title, "accuracy", rows))
    source = "Lu et al., arXiv 2409.15790, Fig. 5, from the authors' leaderboard: 5 shots."
    return Panel("The original weights, as published", source, charts, published=True)


def _table(data: StudyData) -> Table:
    found, fast = scored(data), speeds(data)
    tasks = sorted({task for one in found for task in one.tasks})
    rows = []
    for one in found:
        means, said = one.means(), one.evaluation
        size = said.size_bytes / 1e6 if said.size_bytes is not None else None
        rows.append(
            [
                one.model,
                said.quantization,
                said.place,
                f"{one.parameters / 1e6:.1f}",
                _cell(size, "{:.1f}"),
                _cell(fast.get(_answered(one)), "{:.1f}"),
                *(_cell(means.get(group), "{:.3f}") for group in _GROUPS),
                *(_cell(one.accuracy(task), "{:.3f}") for task in tasks),
            ]
        )
    titles = (("Model", False), ("Quantization", False), ("Place", False), ("Unique M", True), ("MB", True))
    return Table((*titles, ("tok/s", True), *((name, True) for name in (*_GROUPS, *tasks))), rows)


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def samples_of(found: Sequence[Scored]) -> list[Sample]:
    """Each model in its most accurate form: the tests are about models."""
    best: dict[str, Scored] = {}
    for one in found:
        before = best.get(one.model)
        if OVERALL in one.means() and (before is None or one.means()[OVERALL] > before.means()[OVERALL]):
            best[one.model] = one
    return [
        Sample(
            one.model,
            float(one.parameters),
            {**one.means(), "accuracy": one.means()[OVERALL]},
            rows=one.evaluation_ids,
        )
        for one in best.values()
    ]


def kept_samples(found: Sequence[Scored]) -> list[Sample]:
    """Accuracy of 4-bit artifacts over that of the same model's best one with more bits."""
    samples = []
    for one in found:
        others = [
            other.means()[OVERALL]
            for other in found
            if other.model == one.model and not _four_bit(other) and other.means().get(OVERALL)
        ]
        if _four_bit(one) and others and OVERALL in one.means():
            kept = one.means()[OVERALL] / max(others)
            samples.append(Sample(one.model, float(one.parameters), {"kept": kept}, rows=one.evaluation_ids))
    return samples


def _four_bit(one: Scored) -> bool:
    name = one.evaluation.quantization.split()[0]
    # Of a preset the linears say it: they are most of the weights.
    return "4w" in (PRESETS.get(name).linear.scheme if name in PRESETS else name)


def _published_samples(data: StudyData) -> list[Sample]:
    found = []
    for entry in data.catalogue.values():
        known = entry.accuracy
        if entry.parameters and known and None not in (known.commonsense, known.problem_solving):
            assert known.commonsense is not None and known.problem_solving is not None
            values = {"commonsense": known.commonsense, "problem solving": known.problem_solving}
            values["accuracy"] = fmean(values.values())
            found.append(Sample(entry.name, float(entry.parameters.unique), values))
    return found


def _findings(data: StudyData) -> list[Finding]:
    other, found = _published_samples(data), []
    for place, some in by_place(scored(data)):
        own = samples_of(some)
        found += [statement.test(own, place, other) for statement in (_LARGER, _PROBLEMS)]
        found.append(_KEPT.test(kept_samples(some), place))
    return found


STUDY = Study(
    name="capability",
    title="Capability",
    question="What do models still know after conversion, and what does size or speed cost of it?",
    survey="Fig. 5 and Table 2",
    template=_template,
    figures=_figures,
    table=_table,
    findings=_findings,
    models="survey-latency",
    protocol="standard",
    quant=("mobile-4bit", "mobile-8bit"),
    weights="real",
    takes=("tasks", "items", "include_path", "energy"),
)
