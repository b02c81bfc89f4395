"""A model's text on stdout: whatever it says, and whoever reads it, a run does not die of printing."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from toolkit.cli.edge import SIGPIPE_CODE, discard_stdout
from toolkit.errors import UsageError


class OutputClosed(SystemExit):
    """Whoever read stdout is gone. No OSError: a device's output has a pipe of its own to lose.

    Where nobody catches it, the program ends as a closed pipe ends any other.
    """

    def __init__(self) -> None:
        super().__init__(SIGPIPE_CODE)


def write_text(text: str) -> None:
    r"""Write to stdout at once; a character that its encoding lacks is written as ``\\u`` and its number.

    Raises:
        OutputClosed: nobody reads stdout any more.
        UsageError: stdout cannot be written to.
    """
    if sys.stdout is None:  # closed before the program began
        return
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    printable = text.encode(encoding, errors="backslashreplace").decode(encoding)
    try:
        sys.stdout.write(printable)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
        raise OutputClosed from None
    except OSError as error:
        discard_stdout()
        raise UsageError(
            f"stdout cannot be written to: {error.strerror}",
            next_step="Send stdout elsewhere, or make room where it goes.",
        ) from None


def end_quietly() -> NoReturn:
    """End the program as a closed pipe ends any other: without a word."""
    discard_stdout()
    raise typer.Exit(SIGPIPE_CODE)
