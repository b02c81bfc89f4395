"""Small models on phones: those measured here, and four as the survey's authors' leaderboard has them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from toolkit.report.configurations import Workload
from toolkit.report.study_content import Chart, Panel, Row, StudyFigure
from toolkit.studies import published
from toolkit.studies.data import Number, Point, StudyData

_TABLE = "phones"
# The leaderboard has models of 7 billion parameters as well.
_MOST_BILLIONS = 5.0
_SIZE = re.compile(r"([\d.]+)\s*([bm])$", re.IGNORECASE)
_PREFILL, _DECODE = "prefill_ms_per_token", "decode_ms_per_token"
# Title, unit and column of the leaderboard.
_CHARTS = (
    ("Prefill", "ms per prompt token", _PREFILL),
    ("Decode", "ms per generated token", _DECODE),
)


def phones_figure(data: StudyData) -> StudyFigure:
    """Prefill and decode by model, a bar per phone; smallest model first."""
    text = (
        "The phones measured here, virtual ones by themselves, and the models of the authors' leaderboard "
        "with fewer than 5 billion parameters. Its prompts differ in length from model to model, and some of "
        "its answers have a few tokens only: compare phones there, not models."
    )
    return StudyFigure("phones", "Small models on phones", text, [*_measured(data), _published()])


def _measured(data: StudyData) -> Iterator[Panel]:
    """A panel for each set of conditions; of prompts of several lengths the longest. Virtual phones last."""
    phones = [point for point in data.points if point.device.kind == "adb"]
    for emulated, title in ((False, "phones"), (True, "virtual phones")):
        alike = [point for point in phones if point.device.emulated == emulated]
        longest = max((point.key.prompt_tokens for point in alike), default=0)
        panels: dict[Workload, list[Point]] = defaultdict(list)
        for point in alike:
            if point.key.prompt_tokens == longest:
                panels[point.workload].append(point)
        for workload, points in panels.items():
            charts = [_bars(name, unit, _rows(data, points, column)) for name, unit, column in _CHARTS]
            yield Panel(title, f"Conditions: {workload}.", charts, emulated=emulated)


def _rows(data: StudyData, points: Sequence[Point], column: str) -> list[Row]:
    several = len({point.series for point in points}) > 1
    rows: list[Row] = []
    # One phone has one colour, whichever was measured first.
    for point in sorted(points, key=lambda one: data.names.device(one.device)):
        found = _per_token(point).get(column)
        if found is not None:
            label = f"{point.model} {point.series}" if several else point.model
            ends = {"low": found.low, "high": found.high}
            rows.append(
                {"label": label, "series": data.names.device(point.device), "value": found.median, **ends}
            )
    return rows


def _per_token(point: Point) -> dict[str, Number]:
    """Milliseconds by the leaderboard's columns."""
    found = {}
    if first := point.numbers.get("ttft_ms"):
        found[_PREFILL] = first.mapped(lambda ms: ms / point.key.prompt_tokens)
    if each := point.numbers.get("decode_ms"):
        found[_DECODE] = each
    return found


def _published() -> Panel:
    small = [row for row in published.table(_TABLE) if _billions(str(row["model"])) < _MOST_BILLIONS]
    small.sort(key=lambda row: (_billions(str(row["model"])), str(row["model"]), str(row["device"])))
    charts = []
    for name, unit, column in _CHARTS:
        rows: list[Row] = [
            {"label": str(row["model"]), "series": str(row["device"]), "value": float(row[column])}
            for row in small
        ]
        charts.append(_bars(name, unit, rows))
    source = published.sources()[_TABLE]
    return Panel(source.device, str(source), charts, published=True)


def _bars(title: str, unit: str, rows: Sequence[Row]) -> Chart:
    return Chart(title, "bars", {"x": unit}, rows, {"label": "model", "series": "phone", "value": unit})


def _billions(model: str) -> float:
    """The size that a name ends with."""
    found = _SIZE.search(model)
    assert found is not None, "every name of the leaderboard has its size"
    return float(found[1]) / (1000 if found[2].lower() == "m" else 1)
