"""`slm report`."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.results import selection
from toolkit.settings import Settings


def report(
    output: Path = typer.Option(
        Path("report.html"), "--output", "-o", help="File to write; with --format png, a folder."
    ),
    format_name: str | None = typer.Option(
        None, "--format", "-f", help="html, md or png; by default what the output's name ends in, else html."
    ),
    where: str | None = selection.WHERE,
    status: list[str] = selection.STATUS,
    device: str | None = selection.DEVICE,
    model: str | None = selection.MODEL,
    title: str = typer.Option("On-device results", "--title", help="The report's heading."),
    limit: int = typer.Option(20_000, "--limit", "-l", min=1, help="Show at most the newest N runs."),
    batch: Path | None = typer.Option(
        None, "--batch", help="File that `slm recipe status --json` wrote: shows the state of a batch."
    ),
) -> None:
    """Write a report of stored runs. One HTML page that works offline, Markdown, or pictures.

    Figures compare only runs of the same conditions, which every caption names. Emulated devices have
    panels of their own. With --format png, -o names a folder that gets one picture per figure and device.

    \b
    Examples:
      slm report -o report.html
      slm report -o report.html --where "not emulated and model contains 'SmolLM2'"
      slm report --format md -o report.md
      slm report --format png -o figures
    """  # noqa: D301
    from toolkit.report import build_report
    from toolkit.report.batch import read_batch
    from toolkit.report.build import format_of
    from toolkit.store import open_store

    settings = Settings.from_environment()
    chosen = selection.chosen(where, status, device, model)
    named = [
        where and f"where {where}",
        status and f"of status {', '.join(status)}",
        device and f"on device {device}",
        model and f"of models named like {model}",
    ]
    described = ", ".join(words for words in named if words)
    with open_store(settings.store_url) as store:
        written = build_report(
            store,
            output,
            settings,
            format_name=format_name or format_of(output),
            title=title,
            where=chosen,
            selection=f"Stored runs {described}." if described else "All stored runs.",
            batch=read_batch(batch) if batch else None,
            limit=limit,
        )
    print(written)
