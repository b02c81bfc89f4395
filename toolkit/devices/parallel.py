"""The same work on several devices at once; what happens to one does not touch the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, TypeVar

from toolkit.devices.interrupt import Interrupt, interruptible_by
from toolkit.devices.selection import LOCAL
from toolkit.errors import ToolkitError

T = TypeVar("T")

# Each device costs a thread that waits, and this machine's share of hashing and sending.
MAXIMUM_AT_ONCE = 16
_POLL_S = 0.2


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What came of one device: a result or an error.

    Attributes:
        serial: the device.
        seconds: how long it took.
        result: what the work returned.
        error: why it has no result.
    """

    serial: str
    seconds: float
    result: T | None = None
    error: ToolkitError | None = None


def on_each_device(
    serials: Sequence[str],
    work: Callable[[str], T],
    *,
    on_done: Callable[[Outcome[T]], None],
) -> list[Outcome[T]]:
    """Do the work for each device, in parallel, and this machine's own alone afterwards.

    This machine comes last because it hashes, sends and waits for the others: what it measures meanwhile
    would be worth nothing. Ctrl-C reaches every device's thread, each of which cleans up on its device.

    Args:
        serials: the devices; one alone is served in the calling thread.
        work: gets a serial; its ToolkitErrors become outcomes.
        on_done: told each outcome as it comes, from the device's thread.

    Returns:
        One outcome per device, in the order of ``serials``.

    Raises:
        Exception: an error that is no ToolkitError is a bug; it is raised once the other devices are done.
    """

    def serve(serial: str) -> Outcome[T]:
        started = time.monotonic()
        try:
            result = work(serial)
        except ToolkitError as error:
            outcome: Outcome[T] = Outcome(serial, time.monotonic() - started, error=error)
        else:
            outcome = Outcome(serial, time.monotonic() - started, result=result)
        on_done(outcome)
        return outcome

    if len(serials) == 1:
        return [serve(serials[0])]
    remote = [serial for serial in serials if serial != LOCAL]
    futures = _in_threads(remote, serve)
    outcomes = {serial: future.result() for serial, future in futures.items()}
    if LOCAL in serials:
        outcomes[LOCAL] = serve(LOCAL)
    return [outcomes[serial] for serial in serials]


def _in_threads(serials: Sequence[str], serve: Callable[[str], Outcome[T]]) -> dict[str, Future[Outcome[T]]]:
    """Serve all devices and return when all are done."""
    interrupts = {serial: Interrupt() for serial in serials}

    at_work: dict[str, threading.Event] = {}

    def serve_interruptibly(serial: str) -> Outcome[T]:
        at_work[serial] = ended = threading.Event()
        try:
            with interruptible_by(interrupts[serial]):
                return serve(serial)
        finally:
            ended.set()

    futures: dict[str, Future[Outcome[T]]] = {}
    with ThreadPoolExecutor(min(len(serials), MAXIMUM_AT_ONCE), thread_name_prefix="device") as pool:
        try:
            # Within the try: the first devices are at work while the next ones are handed out.
            for serial in serials:
                futures[serial] = pool.submit(serve_interruptibly, serial)
            # A Ctrl-C that comes just before the main thread blocks is handled only when it wakes.
            while wait(futures.values(), timeout=_POLL_S).not_done:
                pass
        except KeyboardInterrupt:
            # Those that wait for a thread must not start any more.
            pool.shutdown(wait=False, cancel_futures=True)
            for interrupt in interrupts.values():
                interrupt.request()
            # The pool does not know a thread in whose start the Ctrl-C fell, and would not wait for it.
            for ended in list(at_work.values()):
                ended.wait()
            raise
    return futures
