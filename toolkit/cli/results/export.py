"""`slm results export`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from toolkit.cli.results import selection
from toolkit.settings import Settings


def export_runs(
    format_name: str = typer.Option("csv", "--format", "-f", help="csv, json, jsonl, md or llama-bench."),
    output: Path | None = typer.Option(None, "--output", "-o", help="File to write instead of stdout."),
    where: str | None = selection.WHERE,
    status: list[str] = selection.STATUS,
    device: str | None = selection.DEVICE,
    model: str | None = selection.MODEL,
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
) -> None:
    """Export stored runs. json and jsonl keep every decode step's time; llama-bench takes ok runs only.

    \b
    Examples:
      slm results export --format csv -o results.csv
      slm results export --format llama-bench --status ok
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.export import FORMATS, export

    if as_json:
        format_name = "json"
    FORMATS.get(format_name)
    with open_store(Settings.from_environment().store_url) as store:
        found = store.list_runs(where=selection.chosen(where, status, device, model))
        text = export(store.get_runs([summary.run.id for summary in found]), format_name)
    if output is None:
        sys.stdout.write(text)
    else:
        _write(output, text)
        print(f"{len(found)} runs written to {output}", file=sys.stderr)


def _write(output: Path, text: str) -> None:
    from toolkit.errors import UsageError

    partial = output.with_name(f".{output.name}.partial")
    try:
        partial.write_text(text)
        partial.replace(output)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", subject=str(output), next_step="Choose another -o."
        ) from None
