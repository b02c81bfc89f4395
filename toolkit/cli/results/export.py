"""`slm results export`."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from toolkit.cli.output_file import output_file
from toolkit.cli.results import selection
from toolkit.errors import UsageError
from toolkit.settings import Settings


def export_runs(
    format_name: str = typer.Option(
        "csv", "--format", "-f", help="csv, json, jsonl, md, html, parquet or llama-bench."
    ),
    output: Path | None = typer.Option(None, "--output", "-o", help="File to write instead of stdout."),
    where: str | None = selection.WHERE,
    status: list[str] = selection.STATUS,
    device: str | None = selection.DEVICE,
    model: str | None = selection.MODEL,
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
) -> None:
    """Export stored runs. json, jsonl and parquet keep every decode step's time.

    `slm results import` reads jsonl. parquet has a row per repetition. llama-bench takes ok runs only.

    \b
    Examples:
      slm results export --format csv -o results.csv
      slm results export --format jsonl --where "tag = 'v1.0'" -o v1.0.jsonl
      slm results export --format llama-bench --status ok
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.export import FORMATS, export

    if as_json:
        format_name = "json"
    if output is None and not FORMATS.get(format_name).is_text:
        raise UsageError(f"{format_name} is not text", next_step="Name a file with --output.")
    with open_store(Settings.from_environment().store_url) as store:
        run_ids = store.run_ids(selection.chosen(where, status, device, model))
        if output is None:
            left_out = export(store, run_ids, format_name, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            with output_file(output) as partial, partial.open("wb") as stream:
                left_out = export(store, run_ids, format_name, stream)
            print(f"{len(run_ids) - left_out} runs written to {output}", file=sys.stderr)
    if left_out:
        print(
            f"{left_out} of {len(run_ids)} runs left out: not ok, and {format_name} has no such runs",
            file=sys.stderr,
        )
