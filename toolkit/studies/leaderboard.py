"""Small models on four phones, as the survey's authors' leaderboard has them."""

from __future__ import annotations

import re

from toolkit.report.study_content import Chart, Panel, Row, StudyFigure
from toolkit.studies import published

_TABLE = "phones"
# The leaderboard has models of 7 billion parameters as well.
_MOST_BILLIONS = 5.0
_SIZE = re.compile(r"([\d.]+)\s*([bm])$", re.IGNORECASE)
_CHARTS = (
    ("Prefill", "prefill_ms_per_token", "ms per prompt token"),
    ("Decode", "decode_ms_per_token", "ms per generated token"),
)


def phones_figure() -> StudyFigure:
    """Prefill and decode by model, a bar per phone; smallest model first."""
    small = [row for row in published.table(_TABLE) if _billions(str(row["model"])) < _MOST_BILLIONS]
    small.sort(key=lambda row: (_billions(str(row["model"])), str(row["model"]), str(row["device"])))
    charts = []
    for title, column, words in _CHARTS:
        rows: list[Row] = [
            {"label": str(row["model"]), "series": str(row["device"]), "value": float(row[column])}
            for row in small
        ]
        columns = {"label": "model", "series": "phone", "value": words}
        charts.append(Chart(title, "bars", {"x": words}, rows, columns))
    source = published.sources()[_TABLE]
    text = (
        "The models of the leaderboard with fewer than 5 billion parameters. Its prompts differ in length "
        "from model to model, and some answers have a few tokens only: compare phones, not models."
    )
    panel = Panel(source.device, str(source), charts, published=True)
    return StudyFigure("phones", "Small models on phones", text, [panel])


def _billions(model: str) -> float:
    """The size that a name ends with."""
    found = _SIZE.search(model)
    assert found is not None, "every name of the leaderboard has its size"
    return float(found[1]) / (1000 if found[2].lower() == "m" else 1)
