"""Chat templates are programs from elsewhere: a limit of time and memory ends those that compute for ever.

They run in a copy of this process. The kernel counts what it uses and ends it, whatever it is busy with: one
power of a number or one repeated text is a single operation, which no count of steps interrupts.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

# Templates of published models take milliseconds.
CPU_S = 10
MEMORY_BYTES = 1 << 30
# A hundred times what the longest context of these models holds.
MAXIMUM_CHARACTERS = 1 << 25
# On a busy machine processor time passes more slowly than the clock.
_CLOCK_PER_CPU = 12
_TEXT, _WHY = b"=", b"!"


class NotRendered(Exception):
    """What a template raised, or which limit it met, in words."""


def within_limits(work: Callable[[], str]) -> str:
    """The text that ``work`` makes of a template, in a copy of this process.

    Raises:
        NotRendered: it raised something, takes too long, or too much memory.
    """
    # Loaded once, for all copies.
    import jinja2  # noqa: F401

    ours, theirs = Pipe(duplex=False)
    with ours:
        with theirs:
            try:
                pid = os.fork()
            except OSError as error:
                raise NotRendered(f"no process can be started for it: {error.strerror}") from None
            if pid == 0:
                _answer(work, theirs)
        answer = None
        try:
            with suppress(EOFError):
                answer = ours.recv_bytes() if ours.poll(CPU_S * _CLOCK_PER_CPU) else None
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
    if answer is None:
        raise NotRendered(_why_ended(os.waitstatus_to_exitcode(status)))
    text = answer[1:].decode(errors="surrogatepass")
    if answer[:1] == _WHY:
        raise NotRendered(text)
    return text


def why_not_rendered(error: Exception) -> str:
    """What a template raised, in words."""
    from jinja2 import TemplateError

    if isinstance(error, MemoryError):
        return f"it needs more than {MEMORY_BYTES >> 30} GiB of memory"
    said = str(error).strip() or "without a reason"
    # What a template raises on purpose speaks for itself.
    return said if isinstance(error, TemplateError) else f"{type(error).__name__}: {said}"


def _answer(work: Callable[[], str], connection: Connection) -> NoReturn:
    code = 1
    try:
        # The handlers of the process that was copied are not for this one.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        _limit()
        try:
            text = work()
            kind, said = _TEXT, text
            if len(text) > MAXIMUM_CHARACTERS:
                kind, said = _WHY, f"it makes a text of {len(text)} characters"
        except Exception as error:
            kind, said = _WHY, why_not_rendered(error)
        connection.send_bytes(kind + said.encode(errors="surrogatepass"))
        code = 0
    finally:
        # Nothing of the process that was copied may run in here: no handler, and no buffer is written twice.
        os._exit(code)


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _lower(resource.RLIMIT_CPU, CPU_S)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY_BYTES)


def _lower(limit: int, value: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard == resource.RLIM_INFINITY or value < hard:
        resource.setrlimit(limit, (value, hard))


def _why_ended(code: int) -> str:
    # Killed from here: it slept, or got no processor.
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return f"it was ended after {CPU_S} s of computing"
    return f"its process ended with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
