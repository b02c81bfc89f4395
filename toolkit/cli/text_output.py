"""A model's text on stdout: whatever it says, and whoever reads it, a run does not die of printing."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import typer

from toolkit.errors import UsageError

# What a shell reports of a program that a closed pipe ended.
_SIGPIPE_CODE = 128 + 13


class OutputClosed(Exception):
    """Whoever read stdout is gone. No OSError: a device's output has a pipe of its own to lose."""


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
        raise OutputClosed from None
    except OSError as error:
        _discard_stdout()
        raise UsageError(
            f"stdout cannot be written to: {error.strerror}",
            next_step="Send stdout elsewhere, or make room where it goes.",
        ) from None


def end_quietly() -> NoReturn:
    """End the program as a closed pipe ends any other: without a word."""
    _discard_stdout()
    raise typer.Exit(_SIGPIPE_CODE)


def _discard_stdout() -> None:
    """What is still buffered goes nowhere; else the interpreter fails over it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
