"""Ctrl-C for worker threads: Python raises KeyboardInterrupt in the main thread only."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Interrupt:
    """A Ctrl-C that reaches a thread at its next wait for a child process, once.

    Once, as the real one: what the thread does to clean up must not be interrupted in its turn.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._delivered = False

    def request(self) -> None:
        """Ask for it, from another thread."""
        self._requested.set()

    def deliver(self) -> None:
        """Raise KeyboardInterrupt if it was asked for and has not been raised yet."""
        if self._requested.is_set() and not self._delivered:
            self._delivered = True
            raise KeyboardInterrupt


_current: ContextVar[Interrupt | None] = ContextVar("interrupt", default=None)


@contextmanager
def interruptible_by(interrupt: Interrupt) -> Iterator[None]:
    """Let ``interrupt`` reach this thread while the block runs."""
    token = _current.set(interrupt)
    try:
        yield
    finally:
        _current.reset(token)


def check_interrupt() -> None:
    """Raise KeyboardInterrupt if this thread's :class:`Interrupt` asks for it."""
    interrupt = _current.get()
    if interrupt is not None:
        interrupt.deliver()
