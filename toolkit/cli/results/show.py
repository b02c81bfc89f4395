"""`slm results show`."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer

from toolkit.cli.results import selection
from toolkit.settings import Settings


def show(
    run_id: str = typer.Argument(help="Id of the run, or its first characters.", metavar="ID"),
    as_json: bool = selection.JSON,
) -> None:
    """Show one run with its tags, repetitions and conditions.

    \b
    Examples:
      slm results show 7k2m
      slm results show 7k2m --json
    """  # noqa: D301
    from toolkit.analysis.roofline import roofline_share
    from toolkit.store import open_store
    from toolkit.store.export import as_json_data
    from toolkit.store.tags import tags_of

    with open_store(Settings.from_environment().store_url) as store:
        stored = store.get_run(store.find_run_id(run_id))
        share = roofline_share(store, stored)
        tags = tags_of(store, [stored.run.id]).get(stored.run.id, [])
    if as_json:
        print(
            json.dumps(
                {**as_json_data(stored), "tags": tags, "roofline": asdict(share) if share else None}, indent=2
            )
        )
    else:
        from toolkit.cli.results.run_table import print_run

        print_run(stored, tags, share)
