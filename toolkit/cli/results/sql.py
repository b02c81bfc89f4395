"""`slm results sql`."""

from __future__ import annotations

import csv
import json
import sys

import typer

from toolkit.cli.results import selection
from toolkit.settings import Settings


def sql(
    statement: str = typer.Argument(help="A SELECT, in the database's own SQL.", metavar="SQL"),
    limit: int = typer.Option(1000, "--limit", "-l", min=1, help="Print at most N rows."),
    as_json: bool = selection.JSON,
) -> None:
    """Ask the results database in SQL. It refuses to write while it answers. Prints CSV, or JSON.

    The tables are described in docs/file_formats.md.

    \b
    Examples:
      slm results sql "select status, count(*) from runs group by status"
      slm results sql "select * from devices" --json
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.read_only import ask

    with open_store(Settings.from_environment().store_url) as store:
        answer = ask(store, statement, limit=limit)
    if as_json:
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        print(json.dumps(rows, indent=2, default=str))
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
    if answer.cut:
        print(f"only the first {limit} rows; --limit shows more", file=sys.stderr)
