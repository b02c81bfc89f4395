"""Progress on stderr: a live bar on a terminal, plain lines otherwise (carriage returns flood logs)."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress

# Called with (done, total); total is 0 when it is not known. Units are the caller's: bytes, layers, tokens.
ProgressCallback = Callable[[int, int], None]


class ShowProgress(Protocol):
    """Opens a progress display with a label; :func:`bar` is one, :func:`shared_bars` gives another."""

    def __call__(  # noqa: D102 - as bar()
        self, label: str, *, unit: str = "bytes"
    ) -> AbstractContextManager[ProgressCallback]: ...


def silent(done: int, total: int) -> None:
    """A ProgressCallback that shows nothing."""


# How much is told: variables, so that processes which do a part of the work tell as much.
VERBOSITY_VARIABLE = "SLM_VERBOSITY"
PROGRESS_VARIABLE = "SLM_PROGRESS"


def is_quiet() -> bool:
    """Whether only results, warnings and errors are told (`slm -q`)."""
    return os.environ.get(VERBOSITY_VARIABLE) == "quiet"


def is_verbose() -> bool:
    """Whether every command that is run is told (`slm -v`)."""
    return os.environ.get(VERBOSITY_VARIABLE) == "verbose"


def shows_progress() -> bool:
    """Whether the progress of work is told (not with `slm --no-progress`)."""
    return not is_quiet() and os.environ.get(PROGRESS_VARIABLE) != "off"


def say(sentence: str) -> None:
    """Tell people something that they must know; stdout is for what they asked for."""
    _write(f"{sentence}\n")


def remark(sentence: str) -> None:
    """Tell people something that they can do without."""
    if not is_quiet():
        say(sentence)


def detail(sentence: str) -> None:
    """Tell something to those who asked for every step."""
    if is_verbose():
        say(sentence)


@contextmanager
def bar(label: str, *, unit: str = "bytes") -> Iterator[ProgressCallback]:
    """Show a progress bar while the block runs; yields the callback that moves it.

    Args:
        label: what is going on, e.g. "push model.bin".
        unit: "bytes" shows sizes and speed, anything else shows counts.
    """
    if not shows_progress():
        yield silent
    elif _is_terminal():
        with _terminal_bar(label, unit) as callback:
            yield callback
    else:
        with _plain_lines(label, unit) as callback:
            yield callback


@contextmanager
def shared_bars() -> Iterator[ShowProgress]:
    """One display for several bars that move at the same time, each from a thread of its own."""
    if not (shows_progress() and _is_terminal()):
        # Whole lines, each with its label, may mix as they come.
        yield bar
        return
    progress = _terminal_display(unit="mixed")

    @contextmanager
    def show(label: str, *, unit: str = "bytes") -> Iterator[ProgressCallback]:
        task = progress.add_task(label, total=None)
        try:
            yield lambda done, total: progress.update(task, completed=done, total=total or None)
        finally:
            progress.remove_task(task)

    with progress:
        yield show


@contextmanager
def stage(label: str) -> Iterator[None]:
    """Announce a stage on stderr and say how long it took."""
    write = _write if shows_progress() else _ignore
    started = time.monotonic()
    write(f"{label} ...\n")
    yield
    write(f"{label}: {time.monotonic() - started:.1f} s\n")


@contextmanager
def _terminal_bar(label: str, unit: str) -> Iterator[ProgressCallback]:
    with _terminal_display(unit) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


def _terminal_display(unit: str) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    amounts: dict[str, list[ProgressColumn]] = {
        "bytes": [DownloadColumn(), TransferSpeedColumn()],
        "mixed": [TaskProgressColumn()],
    }
    # A long name makes room, numbers never do.
    name = Column(no_wrap=True, overflow="ellipsis", ratio=1, min_width=8)
    return Progress(
        TextColumn("{task.description}", table_column=name),
        BarColumn(bar_width=20),
        *amounts.get(unit, [MofNCompleteColumn()]),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )


@contextmanager
def _plain_lines(label: str, unit: str) -> Iterator[ProgressCallback]:
    last_quarter = -1

    def report(done: int, total: int) -> None:
        nonlocal last_quarter
        quarter = 4 * done // total if total else -1
        if quarter > last_quarter:
            last_quarter = quarter
            amount = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB" if unit == "bytes" else f"{done} of {total}"
            _write(f"{label}: {amount}\n")

    yield report


def _ignore(text: str) -> None:
    pass


def _is_terminal() -> bool:
    """Whether stderr is one; Python has none where it was closed before the program began."""
    return sys.stderr is not None and sys.stderr.isatty()


def _write(text: str) -> None:
    """Show a line, in one piece so that lines of several threads do not mix.

    Work does not end because nobody reads about it: a closed or full stderr shows nothing.
    """
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        pass
