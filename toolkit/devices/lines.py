"""Bytes that arrive in any pieces, handed on as lines of text."""

from __future__ import annotations

from collections.abc import Callable


class LineSplitter:
    """Calls back with each line, without its newline, as soon as it is whole."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._partial = b""

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace"))

    def finish(self) -> None:
        """The end: what is left is a line without its newline."""
        if self._partial:
            self._on_line(self._partial.decode(errors="replace"))
            self._partial = b""
