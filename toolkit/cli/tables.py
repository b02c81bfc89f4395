"""Tables for people: the one place that decides how wide a line is, and what goes where it has no room."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.text import Text

_GAP = 2


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its header.
        numeric: aligned to the right, and never folded.
        rank: 0 always stays; of the others the one with the highest rank goes first.
        least: to so many characters its texts are folded at spaces before any column goes.
        style: rich's style for a cell's text.
    """

    title: str
    numeric: bool = False
    rank: int = 0
    least: int | None = None
    style: Callable[[str], str] = lambda text: ""


def line_width() -> int | None:
    """Characters of a line: COLUMNS or the terminal's; None in pipes and files, where nothing is left out."""
    return shutil.get_terminal_size((0, 0)).columns or None


def print_table(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    width: int | None,
    header: bool = True,
    remedy: str = "a pipe or a larger COLUMNS shows them",
) -> list[str]:
    """Print a table; columns for which a line has no room are named on stderr.

    Args:
        columns: of the rows' cells.
        rows: may hold any text.
        width: of a line in characters; None for all columns, however wide.
        header: print the titles.
        remedy: what shows the columns that had no room.

    Returns:
        The titles of the columns that had no room.
    """
    from rich.console import Console

    lines, missing = table_lines(columns, rows, width=width, header=header)
    if lines:
        # rich would fold the lines within words.
        Console(highlight=False, emoji=False, width=width).print(*lines, sep="\n", soft_wrap=True)
    if missing:
        print_folded(f"no room for {', '.join(missing)}: {remedy}", width=width, indent="  ", file=sys.stderr)
    return missing


def table_lines(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], *, width: int | None, header: bool = True
) -> tuple[list[Text], list[str]]:
    """The lines of a table, and the titles of the columns for which they have no room; see `print_table`."""
    from rich.text import Text

    kept, widths = _fitted(columns, rows, width, header)
    shown = [columns[index] for index in kept]
    lines = []
    if header:
        titles = ([column.title] for column in shown)
        lines.append(Text(next(_aligned(shown, list(titles), widths)).rstrip(), "bold"))
    for row in rows:
        cells = [
            [row[index]] if column.numeric else _folded(row[index], limit)
            for index, column, limit in zip(kept, shown, widths, strict=True)
        ]
        styles = [column.style(row[index]) for index, column in zip(kept, shown, strict=True)]
        for line in _aligned(shown, cells, widths):
            text = Text(line.rstrip())
            start = 0
            for style, limit in zip(styles, widths, strict=True):
                if style:
                    text.stylize(style, start, start + limit)
                start += limit + _GAP
            lines.append(text)
    return lines, [column.title for index, column in enumerate(columns) if index not in kept]


def print_facts(facts: Sequence[tuple[str, str]], *, width: int | None) -> None:
    """Print names and values, a fact per line; long values go on below themselves."""
    print_table([Column("name"), Column("value", least=1)], facts, width=width, header=False)


def print_folded(text: str, *, width: int | None, indent: str = "", file: TextIO | None = None) -> None:
    """Print a sentence, folded at spaces; what goes on below is indented."""
    print("\n".join(folded(text, width=width, indent=indent)), file=file)


def folded(text: str, *, width: int | None, indent: str = "") -> list[str]:
    """The lines of a sentence, folded at spaces; all but the first are indented."""
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _fitted(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int | None, header: bool
) -> tuple[list[int], list[int]]:
    """Which columns are shown, and how wide."""
    from rich.cells import cell_len

    titles = [cell_len(column.title) if header else 0 for column in columns]
    natural = [max([title, *(cell_len(row[index]) for row in rows)]) for index, title in enumerate(titles)]
    kept = list(range(len(columns)))
    if width is None:
        return kept, natural
    # Nothing is narrower than its longest word.
    words = [
        natural[index]
        if column.numeric
        else max([titles[index], *(cell_len(word) for row in rows for word in row[index].split())])
        for index, column in enumerate(columns)
    ]
    floors = [
        min(natural[index], max(column.least, words[index])) if column.least is not None else natural[index]
        for index, column in enumerate(columns)
    ]
    while True:
        limits = [natural[index] for index in kept]
        found = _taken(limits, [floors[index] for index in kept], width)
        droppable = [index for index in kept if columns[index].rank]
        if found or not droppable:
            break
        kept.remove(max(droppable, key=lambda index: columns[index].rank))
    # What else can be folded is, rather than a line longer than its terminal; a word with no room sticks out.
    least = [words[index] for index in kept]
    narrow = [columns[index].least or words[index] for index in kept]
    return kept, found or _taken(limits, least, width) or _taken(limits, narrow, width) or least


def _taken(limits: Sequence[int], floors: Sequence[int], width: int) -> list[int] | None:
    """Widths for a line, taken from the widest that may give; None where even the floors have no room."""
    room = width - _GAP * (len(limits) - 1)
    if sum(floors) > room:
        return None
    taken = list(limits)
    while sum(taken) > room:
        giving = [index for index, limit in enumerate(taken) if limit > floors[index]]
        widest = max(giving, key=lambda index: taken[index])
        taken[widest] -= 1
    return taken


def _aligned(columns: Sequence[Column], cells: Sequence[list[str]], widths: Sequence[int]) -> Iterator[str]:
    """The lines of one row; a word wider than its column pushes what follows."""
    from rich.cells import cell_len

    for line in zip_longest(*cells, fillvalue=""):
        yield (" " * _GAP).join(
            " " * (width - cell_len(text)) + text if column.numeric else text + " " * (width - cell_len(text))
            for column, text, width in zip(columns, line, widths, strict=True)
        )


def _folded(text: str, width: int) -> list[str]:
    """Lines of at most ``width`` characters, broken at spaces only."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return [text]
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines or [""]
