"""`slm results`: list, show and export stored runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.store.rows import Status

app = typer.Typer(help="List, show and export stored runs.", no_args_is_help=True, rich_markup_mode=None)

_STATUS = typer.Option([], "--status", help="Only runs of this status; may be repeated.")
_DEVICE = typer.Option(None, "--device", help="Only runs of this serial.")
_MODEL = typer.Option(None, "--model", help="Only models whose name holds this text.")
_JSON = typer.Option(False, "--json", help="Print JSON.")


@app.command("list")
def list_runs(
    limit: int = typer.Option(50, "--limit", "-n", min=1, help="Show the newest N runs."),
    status: list[str] = _STATUS,
    device: str | None = _DEVICE,
    model: str | None = _MODEL,
    as_json: bool = _JSON,
) -> None:
    """List stored runs, newest first. Virtual phones are marked (emulated).

    pp and tg are prompt and generated tokens, @N the depth; prefill and decode are medians over the
    repetitions, in tokens per second; MB is the peak memory; parity says how many greedy tokens equal the
    converting host's.

    \b
    Examples:
      slm results list
      slm results list --status ok --model smollm2 --json
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.export import flat

    with open_store(Settings.from_environment().store_url) as store:
        runs = store.list_runs(limit=limit, statuses=_statuses(status), device=device, model=model)
    if as_json:
        print(json.dumps([flat(summary) for summary in runs], indent=2))
    elif runs:
        from toolkit.cli.run_table import print_runs

        print_runs(runs)
    else:
        print("No runs yet. Make one with: slm profile ARTIFACT", file=sys.stderr)


@app.command("show")
def show(
    run_id: str = typer.Argument(help="Id of the run, or its first characters.", metavar="ID"),
    as_json: bool = _JSON,
) -> None:
    """Show one run with its repetitions and conditions.

    \b
    Examples:
      slm results show 7k2m
      slm results show 7k2m --json
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.export import as_json_data

    with open_store(Settings.from_environment().store_url) as store:
        stored = store.get_run(store.find_run_id(run_id))
    if as_json:
        print(json.dumps(as_json_data(stored), indent=2))
    else:
        from toolkit.cli.run_table import print_run

        print_run(stored)


@app.command("export")
def export_runs(
    format_name: str = typer.Option("csv", "--format", "-f", help="csv, json, jsonl, md or llama-bench."),
    output: Path | None = typer.Option(None, "--output", "-o", help="File to write instead of stdout."),
    status: list[str] = _STATUS,
    device: str | None = _DEVICE,
    model: str | None = _MODEL,
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
        found = store.list_runs(statuses=_statuses(status), device=device, model=model)
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


def _statuses(named: list[str]) -> list[Status]:
    from toolkit.errors import UsageError
    from toolkit.store.rows import STATUSES

    for name in named:
        if name not in STATUSES:
            raise UsageError(f"Unknown status {name!r}.", next_step=f"Available: {', '.join(STATUSES)}")
    return [status for status in STATUSES if status in named]
