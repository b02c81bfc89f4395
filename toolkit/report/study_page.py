"""A study's report: one HTML file in the frame of `slm report`, or Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from toolkit.files import write_whole
from toolkit.report import frame, study_charts
from toolkit.report.batch import STATE_WORDS, STEP_STATES, BatchStatus
from toolkit.report.library import javascript
from toolkit.report.study_content import Chart, Panel, StudyContent
from toolkit.settings import Settings

_SCRIPTS = ("theme.js", "charts.js", "study.js")


def write_html(content: StudyContent, output: Path, settings: Settings) -> None:
    """Write the page."""
    write_whole(output, render_page(content, javascript(settings.cache_dir)))


def render_page(content: StudyContent, library: str) -> str:
    """The whole page.

    Args:
        content: what to show.
        library: JavaScript of Vega, Vega-Lite and vega-embed; see :mod:`toolkit.report.library`.
    """
    numbered = list(_numbered(content))
    return frame.render(
        "study.html.jinja",
        library,
        _SCRIPTS,
        {"charts": [_drawn(chart, panel) for panel, chart in numbered]},
        content=content,
        numbers={id(chart): number for number, (_, chart) in enumerate(numbered)},
        number_of=id,
        alternative=alternative,
        cell=cell,
        batch_text=batch_text(content.batch),
        verdicts=[
            (verdict, sum(one.verdict == verdict for one in content.findings))
            for verdict in ("supported", "contradicted", "not enough data")
        ],
    )


def _numbered(content: StudyContent) -> Iterator[tuple[Panel, Chart]]:
    for figure in content.figures:
        for panel in figure.panels:
            for chart in panel.charts:
                yield panel, chart


def _drawn(chart: Chart, panel: Panel) -> dict[str, Any]:
    rows = [{name: frame.short(value) for name, value in row.items()} for row in chart.rows]
    short = Chart(chart.title, chart.kind, chart.options, rows, chart.columns)
    return study_charts.specification(short, emulated=panel.emulated)


def alternative(chart: Chart, panel: Panel) -> str:
    """The chart in words, for those who do not see it."""
    return f"{chart.title}, {panel.title}: {len(chart.rows)} values, all of them in the table that follows."


def cell(value: object) -> str:
    """A number with four digits, or the text."""
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return "-" if value is None else str(value)


def batch_text(batch: BatchStatus | None) -> str:
    """How many steps are in which state."""
    if batch is None:
        return ""
    counted = ", ".join(
        f"{batch.count(state)} {STATE_WORDS[state]}" for state in STEP_STATES if batch.count(state)
    )
    return f"{len(batch.steps)} steps: {counted}."


def cells(chart: Chart) -> Iterator[Sequence[str]]:
    """The rows of a chart's table."""
    for row in chart.rows:
        yield [cell(row.get(name)) for name in chart.columns]
