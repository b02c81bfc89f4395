"""Calls over a network that may be gone, or never answer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any


def network_errors(hub_http_error: type[Exception]) -> tuple[type[Exception], ...]:
    """What the hub library raises when the network fails, from its own class for answers."""
    # The hub library's HTTP client changed its name once already; its error base is above the hub's own.
    return (hub_http_error.__bases__[0], OSError, TimeoutError)


def within(timeout_s: float, call: Callable[[], Any]) -> Any:
    """Run a call that may block in a name lookup, which no HTTP timeout covers; give up after a while.

    Raises:
        TimeoutError: no answer in time. The call's own errors are raised as they are.
    """
    answers: queue.Queue[tuple[Any, Exception | None]] = queue.Queue()

    def answer() -> None:
        try:
            answers.put((call(), None))
        except Exception as error:  # not handled here: carried over to the calling thread and raised there
            answers.put((None, error))

    threading.Thread(target=answer, daemon=True, name="hub-reach").start()
    try:
        value, error = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError(f"no answer within {timeout_s:g} s") from None
    if error is not None:
        raise error
    return value
