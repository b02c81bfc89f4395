"""The charts of a study as files, drawn without a browser: each says by itself whose numbers it shows."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import vl_convert

from toolkit.files import write_whole
from toolkit.report.look import chart_config
from toolkit.report.study_charts import specification
from toolkit.report.study_content import Chart, Panel, StudyContent
from toolkit.report.theme import LIGHT
from toolkit.settings import Settings

_WIDTH = 560
_SCALE = 2
_LETTERS = 84
_TITLE_LETTERS = 60
_TITLE_GAP = 12


def write_svg(content: StudyContent, output: Path, settings: Settings) -> None:
    """A folder of SVG files."""
    _write(content, output, "svg")


def write_png(content: StudyContent, output: Path, settings: Settings) -> None:
    """A folder of PNG files."""
    _write(content, output, "png")


def _write(content: StudyContent, output: Path, kind: str) -> None:
    output.mkdir(parents=True, exist_ok=True)
    for name, panel, chart in _numbered(content):
        spec = _titled(chart, panel)
        # Letters where a picture is shown may be wider than those it is laid out with.
        config = {**chart_config(LIGHT), "axisY": {"titlePadding": _TITLE_GAP}}
        drawn: str | bytes
        if kind == "svg":
            drawn = vl_convert.vegalite_to_svg(spec, config=config)
        else:
            drawn = vl_convert.vegalite_to_png(spec, scale=_SCALE, config=config)
        write_whole(output / f"{name}.{kind}", drawn)


def _numbered(content: StudyContent) -> Iterator[tuple[str, Panel, Chart]]:
    """Charts that have something to show, with their files' names."""
    for figure in content.figures:
        own = 0
        for panel in figure.panels:
            own += not panel.published
            which = "published" if panel.published else str(own)
            for number, chart in enumerate(panel.charts, start=1):
                if chart.rows:
                    yield f"{figure.key}-{which}-{number}", panel, chart


def _titled(chart: Chart, panel: Panel) -> dict[str, Any]:
    spec = specification(chart, emulated=panel.emulated, width=_WIDTH)
    title = f"{chart.title}: {panel.title}"
    if panel.published:
        title += " - published by others"
    if panel.emulated:
        title += " - EMULATED, not measured on a phone"
    spec["padding"] = 12
    spec["title"] = {
        "text": textwrap.wrap(title, _TITLE_LETTERS),
        "subtitle": textwrap.wrap(panel.caption, _LETTERS),
        "anchor": "start",
        "frame": "bounds",
        "offset": 10,
        "color": LIGHT.warning if panel.emulated else LIGHT.text,
        "subtitleColor": LIGHT.muted,
    }
    return spec
