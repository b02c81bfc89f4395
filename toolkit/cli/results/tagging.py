"""`slm results tag`, `untag` and `tags`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from toolkit.cli.results import selection
from toolkit.errors import UsageError
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.store import Store

_TAG = typer.Argument(help="A name of up to 64 letters, digits and . _ : / + -", metavar="TAG")
_IDS = typer.Argument(None, help="Ids of runs, or their first characters.", metavar="ID")


def tag(tag: str = _TAG, run_ids: list[str] = _IDS, where: str | None = selection.WHERE) -> None:
    """Give runs a name: a release, a nightly, a baseline.

    \b
    Examples:
      slm results tag v1.0 7k2m 9xq1
      slm results tag nightly --where "created >= '2026-11-22' and status = 'ok'"
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.tags import tag_runs

    with open_store(Settings.from_environment().store_url) as store:
        chosen = _chosen(store, run_ids, where)
        if chosen is None:
            raise UsageError("names no runs", subject=f"tag {tag}", next_step="Give ids, or --where.")
        added = tag_runs(store, tag, chosen)
    print(f"{added} runs tagged {tag}, {len(chosen) - added} had it", file=sys.stderr)


def untag(
    tag: str = _TAG,
    run_ids: list[str] = _IDS,
    where: str | None = selection.WHERE,
    everywhere: bool = typer.Option(False, "--all", help="From every run that has it."),
) -> None:
    """Take a tag from runs.

    \b
    Examples:
      slm results untag v1.0 7k2m
      slm results untag nightly --all
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.tags import untag_runs

    with open_store(Settings.from_environment().store_url) as store:
        chosen = _chosen(store, run_ids, where)
        if (chosen is None) != everywhere:
            raise UsageError(
                "needs ids or --where, or else --all",
                subject=f"untag {tag}",
                next_step="Give ids, --where CONDITION, or --all for every run that has the tag.",
            )
        removed = untag_runs(store, tag, chosen)
    print(f"{removed} runs untagged", file=sys.stderr)


def tags(as_json: bool = selection.JSON) -> None:
    """List all tags with the number of their runs, latest first.

    \b
    Examples:
      slm results tags
      slm results tags --json
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.tags import list_tags

    with open_store(Settings.from_environment().store_url) as store:
        found = list_tags(store)
    if as_json:
        rows = [{"tag": tag.name, "runs": tag.runs, "newest_unix_ns": tag.newest_unix_ns} for tag in found]
        print(json.dumps(rows, indent=2))
        return
    for tag in found:
        newest = datetime.fromtimestamp(tag.newest_unix_ns // 1_000_000_000, UTC)
        print(f"{tag.name:24}{tag.runs:6} runs, the newest of {newest:%Y-%m-%d %H:%M} UTC")
    if not found:
        print("No tags yet. Give one with: slm results tag TAG ID...", file=sys.stderr)


def _chosen(store: Store, run_ids: list[str] | None, where: str | None) -> list[str] | None:
    if run_ids and where is not None:
        raise UsageError(
            "takes ids or --where, not both",
            subject="runs to tag or untag",
            next_step="Leave out the ids, or --where.",
        )
    if run_ids:
        return [store.find_run_id(run_id) for run_id in run_ids]
    return None if where is None else store.run_ids(where)
