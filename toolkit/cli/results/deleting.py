"""`slm results delete` and `undo-import`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import typer

from toolkit.cli.results import selection
from toolkit.errors import UsageError
from toolkit.settings import Settings


def delete(
    run_ids: list[str] = typer.Argument(None, help="Ids of runs, or their first characters.", metavar="ID"),
    where: str | None = selection.WHERE,
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask; needed with --where in scripts."),
) -> None:
    """Delete runs from the store. Their repetitions, readings, measurements and tags go along.

    A recipe measures again what it no longer finds in the store. The raw files of runs stay.

    \b
    Examples:
      slm results delete 7k2m 9xq1
      slm results delete --where "device_kind = 'imported' and created < '2025-01-01'" --yes
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.removing import delete_runs

    if bool(run_ids) == (where is not None):
        raise UsageError(
            "takes ids or --where, one of them",
            subject="delete",
            next_step="slm results delete ID..., or slm results delete --where CONDITION",
        )
    with open_store(Settings.from_environment().store_url) as store:
        chosen = [store.find_run_id(one) for one in run_ids] if run_ids else store.run_ids(where)
        if where is not None and chosen and not yes and not _agreed(len(chosen)):
            return
        deleted = delete_runs(store, list(dict.fromkeys(chosen)))
    print(f"{deleted} runs deleted", file=sys.stderr)


def undo_import(
    import_id: str | None = typer.Argument(None, help="As `import` printed it.", metavar="IMPORT"),
) -> None:
    """Delete the runs that one import added. Without an id, lists the imports.

    \b
    Examples:
      slm results undo-import
      slm results undo-import 4f8k2m1x
    """  # noqa: D301
    from toolkit.store import open_store
    from toolkit.store.removing import list_imports
    from toolkit.store.removing import undo_import as undo

    with open_store(Settings.from_environment().store_url) as store:
        if import_id is not None:
            print(f"{undo(store, import_id)} runs deleted", file=sys.stderr)
            return
        imports = list_imports(store)
    for one in imports:
        when = datetime.fromtimestamp(one.unix_ns // 1_000_000_000, UTC)
        print(f"{one.id:12}{one.runs:6} runs of {when:%Y-%m-%d %H:%M} UTC  {one.file}")
    if not imports:
        print("Nothing was imported.", file=sys.stderr)


def _agreed(count: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            f"would delete {count} runs", subject="delete --where", next_step="Say so with --yes."
        )
    return typer.confirm(f"Delete {count} runs?")
