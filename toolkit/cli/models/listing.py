"""`slm models list`."""

from __future__ import annotations

import csv
import io
import json
import sys

import typer

from toolkit.cli.models import options
from toolkit.settings import Settings


def list_models(
    match: str | None = options.MATCH,
    attention: str | None = options.ATTENTION,
    group: str | None = options.GROUP,
    minimum: str | None = options.MINIMUM,
    maximum: str | None = options.MAXIMUM,
    since: str | None = options.SINCE,
    buildable: bool = options.BUILDABLE,
    made_up: bool = options.ALL,
    sort: str = typer.Option(
        "params", "--sort", "-s", help="name, params, released or family; -ORDER reverses."
    ),
    as_csv: bool = typer.Option(False, "--csv", help="Print CSV with every fact."),
    as_json: bool = options.JSON,
) -> None:
    """List the catalogue's models.

    Parameters are unique ones: a tied vocabulary counts once. A dash is not known. "ffn" is the feed-forward
    and its width over the hidden size, "ctx" the context, "build" whether `random:NAME` makes the model
    without a download, and how many of the engines tried convert tiny models of its
    type; `slm models show` names them.

    \b
    Examples:
      slm models list
      slm models list --group survey-latency --max-params 700M --buildable
      slm models list --attention GQA --since 2025-01 --sort -released
      slm models list --csv > models.csv
    """  # noqa: D301
    from toolkit.cli.models.text import print_listing
    from toolkit.cli.text_output import write_text
    from toolkit.models.catalogue.catalogue import catalogue
    from toolkit.models.catalogue.flat import flat
    from toolkit.models.catalogue.selection import select

    selection = options.chosen(
        match, attention, group, minimum, maximum, since, buildable=buildable, made_up=made_up
    )
    entries = select(catalogue(Settings.from_environment().models_dir).values(), selection, sort)
    rows = [flat(entry) for entry in entries]
    if as_json:
        write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    elif as_csv:
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_text(text.getvalue())
    elif not entries:
        print("No model passes the filters.", file=sys.stderr)
    else:
        print_listing(entries)
