"""Building a report out of a store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toolkit.errors import UsageError
from toolkit.extras import install_command
from toolkit.registry import Registry, did_you_mean
from toolkit.report.batch import BatchStatus
from toolkit.report.content import Content, read_content
from toolkit.settings import Settings
from toolkit.store.filters import Filter
from toolkit.store.store import Store

# What a page was tried with.
DEFAULT_LIMIT = 20_000

Renderer = Callable[[Content, Path, Settings], None]

FORMATS: Registry[Renderer] = Registry("report format", UsageError)
FORMATS.register("html", "toolkit.report.page:write_html")
FORMATS.register("md", "toolkit.report.markdown:write_markdown")
FORMATS.register("png", "toolkit.report.pictures:write_pictures")


def build_report(
    store: Store,
    output: Path,
    settings: Settings,
    *,
    format_name: str = "html",
    title: str = "On-device results",
    where: Filter | str | None = None,
    selection: str | None = None,
    batch: BatchStatus | None = None,
    limit: int = DEFAULT_LIMIT,
) -> Path:
    """Write a report.

    Args:
        store: where the runs are.
        output: the file to write; with ``png``, the folder that gets one picture per figure.
        settings: for the cache.
        format_name: ``html``, ``md`` or ``png``.
        title: the report's heading.
        where: only runs that pass this filter; see :mod:`toolkit.store.filters`.
        selection: one sentence that says which runs these are, when ``where`` alone does not.
        batch: the state of the recipe that made them.
        limit: show only the newest this many; the report says so.

    Returns:
        ``output``.

    Raises:
        BadFilter: ``where`` cannot be read.
        UsageError: no such format, its extra is not installed, or ``output`` cannot be written.
        StoreError: the store cannot be read.
    """
    renderer = _renderer(format_name)
    runs = store.list_runs(where=where, limit=limit)
    if selection is None:
        selection = f"Runs where {where}." if isinstance(where, str) else "All stored runs."
    if len(runs) == limit and (found := store.count_runs(where)) > limit:
        selection += f" Only the newest {limit} of {found}."
    content = read_content(
        store, runs, title=title, selection=selection, batch=batch, every_score=where is None
    )
    try:
        renderer(content, output, settings)
    except OSError as error:
        raise UsageError(
            f"cannot be written: {error.strerror}", subject=str(output), next_step="Choose another -o."
        ) from None
    return output


def format_of(output: Path) -> str:
    """The format that a file's name stands for; without an ending it is a page.

    Raises:
        UsageError: an ending of no format.
    """
    ending = output.suffix.removeprefix(".").lower()
    if ending and ending not in FORMATS:
        known = ", ".join(f".{name}" for name in FORMATS)
        raise UsageError(
            f"no report ends in .{ending}",
            subject=str(output),
            next_step=f"{did_you_mean(ending, FORMATS)}Name a file that ends in one of {known}, or give "
            "--format.",
        )
    return ending or "html"


def _renderer(format_name: str) -> Renderer:
    try:
        return FORMATS.get(format_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the report needs the package {error.name!r}",
            next_step=f"Install it with: {install_command('report')}",
        ) from None
