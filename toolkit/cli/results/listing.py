"""`slm results list`."""

from __future__ import annotations

import json
import sys

import typer

from toolkit.cli.results import selection
from toolkit.settings import Settings


def list_runs(
    limit: int = typer.Option(50, "--limit", "-l", min=1, help="Show at most N runs."),
    where: str | None = selection.WHERE,
    sort: list[str] = selection.SORT,
    status: list[str] = selection.STATUS,
    device: str | None = selection.DEVICE,
    model: str | None = selection.MODEL,
    recipe: str | None = selection.RECIPE,
    batch: str | None = selection.BATCH,
    tag: list[str] = selection.TAG,
    wide: bool = typer.Option(False, "--wide", "-w", help="All columns with whole values, as in a pipe."),
    as_json: bool = selection.JSON,
) -> None:
    """List stored runs, newest first. Virtual phones are marked (emulated).

    pp and tg are prompt and generated tokens, @N the depth; prefill and decode are medians over the
    repetitions, in tokens per second, ± their standard deviation; MB is the peak memory; parity says how
    many greedy tokens equal the converting host's. Columns for which the terminal, or COLUMNS, has no room
    are left out; --wide and pipes get all of them. `slm results columns` names all that runs can be
    filtered and sorted by.

    \b
    Examples:
      slm results list
      slm results list -w
      slm results list --status ok --model smollm2 --json
      slm results list --where "decode > 50 and scheme = '8da4w'" --sort -decode --limit 10
      slm results list --recipe nightly --tag main
      slm results list --where "tag = 'nightly' and created >= '2026-11-01'"
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.export import flat
    from toolkit.store.tags import tags_of

    chosen = selection.chosen(where, status, device, model, recipe=recipe, batch=batch, tags=tag)
    with open_store(Settings.from_environment().store_url) as store:
        runs = store.list_runs(where=chosen, sort=selection.sort_columns(sort), limit=limit)
        found = len(runs) if len(runs) < limit else store.count_runs(chosen)
        tags = tags_of(store, [one.run.id for one in runs])
        empty = not runs and not as_json and store.count_runs() == 0
    if as_json:
        print(json.dumps([flat(summary) for summary in runs], indent=2))
    elif empty:
        print("No runs yet. Make one with: slm profile ARTIFACT", file=sys.stderr)
    elif not runs:
        print("No run passes the filter.", file=sys.stderr)
    else:
        from toolkit.cli.results.run_table import print_runs

        print_runs(runs, tags, wide=wide)
        if found > len(runs):
            print(f"{len(runs)} of {found} runs; --limit shows more", file=sys.stderr)
