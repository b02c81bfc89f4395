"""The options by which verbs choose runs, and what they mean together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from toolkit.store.filters import Filter
    from toolkit.store.rows import Status

WHERE = typer.Option(
    None,
    "--where",
    help="Only runs that pass this filter, e.g. \"decode > 50 and scheme = '8da4w'\".",
    show_default=False,
)
STATUS = typer.Option([], "--status", help="Only runs of this status; may be repeated.")
DEVICE = typer.Option(None, "--device", help="Only runs of this device, by serial or name.")
MODEL = typer.Option(None, "--model", help="Only models whose name holds this text.")
RECIPE = typer.Option(None, "--recipe", help="Only runs that this recipe made.")
BATCH = typer.Option(None, "--batch", help="Only runs of this batch of a recipe.")
TAG = typer.Option([], "--tag", help="Only runs with this tag; may be repeated: with all of them.")
SORT = typer.Option(
    [], "--sort", "-s", help="Columns to sort by, separated by commas; -COLUMN for descending."
)
JSON = typer.Option(False, "--json", help="Print JSON.")


def chosen(
    where: str | None,
    statuses: list[str],
    device: str | None,
    model: str | None,
    *,
    recipe: str | None = None,
    batch: str | None = None,
    tags: Sequence[str] = (),
) -> Filter:
    """The filter that the options make together.

    Raises:
        BadFilter: a filter that cannot be read.
        UsageError: an unknown status.
    """
    from toolkit.store.filters import all_of

    return all_of(
        where, statuses=_known(statuses), device=device, model=model, recipe=recipe, batch=batch, tags=tags
    )


def sort_columns(options: list[str]) -> list[str]:
    """``["-decode,model"]`` as ``["-decode", "model"]``."""
    return [name.strip() for option in options for name in option.split(",") if name.strip()]


def _known(named: list[str]) -> list[Status]:
    from toolkit.errors import UsageError
    from toolkit.store.rows import STATUSES

    for name in named:
        if name not in STATUSES:
            raise UsageError(f"Unknown status {name!r}.", next_step=f"Available: {', '.join(STATUSES)}")
    return [status for status in STATUSES if status in named]
