"""Writing the figures about models: SVG, PNG, CSV, or one page that works offline and without scripts."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import vl_convert

from toolkit.errors import UsageError
from toolkit.files import write_whole
from toolkit.models.catalogue.entry import Entry
from toolkit.models.catalogue.statistics import Row
from toolkit.registry import unknown_name
from toolkit.report.catalogue_charts import FIGURES, Figure, specification
from toolkit.report.look import chart_config
from toolkit.report.theme import DARK, LIGHT, Theme

FORMATS = ("svg", "png", "csv", "html")


def write_figures(
    entries: Sequence[Entry], output: Path, *, format_name: str, figures: Sequence[str] = ()
) -> list[Path]:
    """Write figures.

    Args:
        entries: models to count.
        output: a folder; with ``html`` the file.
        format_name: one of ``FORMATS``.
        figures: names out of ``FIGURES``; all by default.

    Returns:
        The files.

    Raises:
        UsageError: no such format or figure, or ``output`` cannot be written.
    """
    if format_name not in FORMATS:
        raise unknown_name("format", format_name, FORMATS, UsageError)
    for name in figures:
        if name not in FIGURES:
            raise unknown_name("figure", name, FIGURES, UsageError)
    chosen = {name: figure for name, figure in FIGURES.items() if not figures or name in figures}
    try:
        if format_name == "html":
            write_whole(output, _page(chosen, entries))
            return [output]
        output.mkdir(parents=True, exist_ok=True)
        files = []
        for name, figure in chosen.items():
            files.append(output / f"{name}.{format_name}")
            write_whole(files[-1], _WRITERS[format_name](figure, entries))
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", subject=str(output), next_step="Choose another -o."
        ) from None
    return files


def svg(figure: Figure, entries: Sequence[Entry], theme: Theme = LIGHT) -> str:
    """A figure as SVG in a theme's colours."""
    drawn: str = vl_convert.vegalite_to_svg(specification(figure, entries, theme), config=chart_config(theme))
    return drawn


def _png(figure: Figure, entries: Sequence[Entry]) -> bytes:
    spec = specification(figure, entries, LIGHT)
    drawn: bytes = vl_convert.vegalite_to_png(spec, scale=2, config=chart_config(LIGHT))
    return drawn


def _csv(figure: Figure, entries: Sequence[Entry]) -> str:
    rows = figure.rows(entries)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=_columns(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


_WRITERS: dict[str, Callable[[Figure, Sequence[Entry]], str | bytes]] = {"svg": svg, "png": _png, "csv": _csv}


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _page(figures: dict[str, Figure], entries: Sequence[Entry]) -> str:
    parts = [_section(name, figure, entries) for name, figure in figures.items()]
    models = "One model" if len(entries) == 1 else f"{len(entries)} models"
    return _PAGE.format(
        light=LIGHT.css(), dark=DARK.css(), models=html.escape(models), sections="\n".join(parts)
    )


def _section(name: str, figure: Figure, entries: Sequence[Entry]) -> str:
    rows = figure.rows(entries)
    columns = _columns(rows)
    head = "".join(f'<th scope="col">{html.escape(column.replace("_", " "))}</th>' for column in columns)
    body = "\n".join(f"<tr>{''.join(_cell(row.get(column, '-')) for column in columns)}</tr>" for row in rows)
    title = html.escape(figure.title)
    drawings = "".join(
        f'<div class="{kind}" tabindex="0" role="img" aria-label="{title}; values in the table below">'
        f"{svg(figure, entries, theme)}</div>"
        for kind, theme in (("light", LIGHT), ("dark", DARK))
    )
    return (
        f'<section id="{name}"><h2>{title}</h2><p>{html.escape(figure.about)}</p>{drawings}'
        f"<details><summary>Values: {title}</summary><div class=scroll tabindex=0 role=group "
        f'aria-label="{title}"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        "</details></section>"
    )


def _cell(value: str | int | float) -> str:
    return f"<td>{html.escape(str(value))}</td>"


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Small language models in figures</title>
<link rel="icon" href="data:,">
<style>
:root {{ {light} }}
.dark {{ display: none; }}
@media (prefers-color-scheme: dark) {{
  :root {{ {dark} }}
  .dark {{ display: block; }}
  .light {{ display: none; }}
}}
body {{ background: var(--background); color: var(--text); font: 16px/1.5 system-ui, sans-serif;
  margin: 0 auto; max-width: 860px; padding: 16px; }}
a {{ color: var(--link); }}
.light, .dark {{ overflow-x: auto; }}
svg {{ height: auto; max-width: 100%; min-width: 560px; }}
.scroll {{ max-height: 400px; overflow: auto; }}
table {{ border-collapse: collapse; font-size: 14px; }}
th, td {{ border-bottom: 1px solid var(--border); padding: 2px 10px; text-align: left; }}
</style>
</head>
<body>
<main>
<h1>Small language models in figures</h1>
<p>{models} of slm-toolkit's catalogue, in figures like those of "Small Language Models: Survey, Measurements,
and Insights" (Lu et al., arXiv 2409.15790).</p>
{sections}
</main>
</body>
</html>
"""
