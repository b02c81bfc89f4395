"""Where the commands meet the system: what it refuses becomes a message with the path and a remedy.

Commands let an OSError through. A full disk, a folder that may not be written to and a closed pipe are
nobody's bug; every other one keeps its traceback. So it is with packages of extras that are not installed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TextIO

from toolkit.errors import ToolkitError, UsageError
from toolkit.extras import extra_of, install_command
from toolkit.settings import Settings
from toolkit.system_refusals import FULL, explain

# What a shell reports of a program that a closed pipe ended.
SIGPIPE_CODE = 128 + 13


def run(command: Callable[[], object]) -> int:
    """Run a command to its end, its output included; returns the exit code.

    Args:
        command: prints, and ends by returning or with SystemExit.

    Raises:
        OSError: one that nobody expects.
    """
    _open_what_is_closed()
    _print_every_character()
    try:
        return _run(command)
    finally:
        _settle_stderr()


def _run(command: Callable[[], object]) -> int:
    try:
        code = _code_of(command)
    except ToolkitError as error:
        return _say(str(error), error.exit_code)
    except ModuleNotFoundError as missing:
        extra = extra_of(missing.name or "")
        if extra is None:
            raise
        needed = UsageError(
            f"this needs the package {missing.name}, which is not installed here",
            next_step=f"Install it: {install_command(extra)}",
        )
        return _say(str(needed), needed.exit_code)
    except BrokenPipeError:
        discard_stdout()
        return SIGPIPE_CODE
    except OSError as error:
        if error.filename is None and error.errno in FULL and _stdout_is_full():
            explained: ToolkitError | None = _stdout_refused(error)
        else:
            explained = explain(error, Settings.from_environment())
        if explained is None:
            raise
        return _say(str(explained), explained.exit_code)
    return _flushed(code)


def discard_stdout() -> None:
    """What is still buffered goes nowhere; else the interpreter fails over it at its end."""
    _discard(sys.stdout)


def _settle_stderr() -> None:
    """Progress and messages that nobody reads must not change the exit code either."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _code_of(command: Callable[[], object]) -> int:
    stdout = sys.stdout
    try:
        command()
    except SystemExit as ended:
        if sys.stdout is not stdout or isinstance(ended.__context__, BrokenPipeError):
            # Typer or rich has met the closed pipe, and put something in stdout's place that takes no more.
            return SIGPIPE_CODE
        if ended.code is None or isinstance(ended.code, int):
            return ended.code or 0
        raise
    return 0


def _flushed(code: int) -> int:
    """The exit code, once what was printed has gone out."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        discard_stdout()
        return SIGPIPE_CODE
    except OSError as error:
        discard_stdout()
        return _say(str(_stdout_refused(error)), 1)
    return code


def _stdout_refused(error: OSError) -> ToolkitError:
    return ToolkitError(
        f"stdout cannot be written to: {error.strerror}",
        next_step="Send stdout elsewhere, or make room where it goes.",
    )


def _stdout_is_full() -> bool:
    """The system does not say which file was full; an empty line more is all that asking costs."""
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except (OSError, ValueError, AttributeError):
        discard_stdout()
        return True
    return False


def _open_what_is_closed() -> None:
    """Give stdin, stdout and stderr back their numbers when they are closed (`2>&-`).

    Else the next file that is opened gets one, and what libraries print goes into it. A stderr that is None
    would make ``print`` take stdout instead, and not everything that writes asks whether there is a stdout.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is taken. Programs that are started get it too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")


def _print_every_character() -> None:
    """A terminal that lacks a character shows its number instead; stderr does so by itself."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _say(text: str, code: int) -> int:
    try:
        print(f"error: {text}", file=sys.stderr, flush=True)
    except OSError:
        # Nobody reads stderr either; the exit code says it.
        pass
    return code
