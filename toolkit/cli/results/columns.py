"""`slm results columns`."""

from __future__ import annotations

import json

from toolkit.cli.results import selection


def columns(as_json: bool = selection.JSON) -> None:
    """Name what --where and --sort can use.

    \b
    Examples:
      slm results columns
      slm results columns --json
    """  # noqa: D301
    from toolkit.store.columns import all_columns

    if as_json:
        named = [
            {"name": column.name, "short": column.short, "kind": column.kind}
            for column in all_columns().values()
        ]
        print(json.dumps(named, indent=2))
        return
    for column in all_columns().values():
        print(f"{column.short or '':14}{column.name:28}{column.kind}")
