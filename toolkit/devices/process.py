"""Run one child process with a deadline, output as it arrives, and a periodic look at how it does."""

from __future__ import annotations

import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO

from toolkit.devices.interrupt import check_interrupt
from toolkit.progress import detail

# A deadline for what may take as long as people like; none is meant to reach it.
ENDLESS_S = 1e9
_READ_BYTES = 1 << 16
# Of a command, for those who want to see each; scripts are long.
_SHOWN_CHARACTERS = 300
# How often a child that has closed its pipes, or whose pipes outlive it, is looked at.
_POLL_S = 0.1


@dataclass(frozen=True)
class Finished:
    """A child process that has ended; a negative returncode is the signal that ended it."""

    returncode: int
    stdout: bytes
    stderr: bytes


class CannotStart(Exception):
    """The program could not be started, as ``reason`` says; nothing of it ran.

    An exception of its own: an OSError of the caller's, out of a callback, says nothing about the program.
    """

    def __init__(self, reason: OSError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class ProcessTimeout(Exception):
    """The deadline passed; the process has been killed."""


def run_process(
    argv: Sequence[str],
    *,
    timeout_s: float,
    on_stdout: Callable[[bytes], None] | None = None,
    on_tick: Callable[[], None] | None = None,
    tick_s: float = 1.0,
    own_group: bool = False,
    cwd: str | None = None,
    stdin: IO[bytes] | None = None,
) -> Finished:
    """Run ``argv`` until it ends, or kill it.

    Args:
        argv: program and arguments.
        timeout_s: killed, and ProcessTimeout raised, after this.
        on_stdout: gets stdout as it arrives; ``Finished.stdout`` is then empty.
        on_tick: called about every ``tick_s`` while the process runs; what it raises kills the process.
        tick_s: seconds between ticks.
        own_group: kill the process with its descendants, not alone.
        cwd: working directory.
        stdin: an open file or a pipe's end, read from where it stands; nothing by default. It is closed here
            once the process has it.

    Raises:
        ProcessTimeout: the deadline passed.
        CannotStart: the program could not be started.
        KeyboardInterrupt: Ctrl-C, or this thread's Interrupt; the process has been killed.
    """
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=own_group,
            cwd=cwd,
        )
    except OSError as reason:
        raise CannotStart(reason) from reason
    detail(f"+ {shlex.join(argv)[:_SHOWN_CHARACTERS]}")
    if stdin is not None:
        # Else nobody who writes to a pipe would notice that its reader is gone.
        stdin.close()
    stdout, stderr = bytearray(), bytearray()
    try:
        _pump(
            process,
            sinks={"stdout": on_stdout or stdout.extend, "stderr": stderr.extend},
            deadline=time.monotonic() + timeout_s,
            on_tick=on_tick,
            tick_s=tick_s,
        )
    except BaseException:
        # Ctrl-C and whatever a callback raises included: nothing is left running.
        _kill(process, own_group)
        raise
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    return Finished(process.wait(), bytes(stdout), bytes(stderr))


def _pump(
    process: subprocess.Popen[bytes],
    *,
    sinks: dict[str, Callable[[bytes], None]],
    deadline: float,
    on_tick: Callable[[], None] | None,
    tick_s: float,
) -> None:
    """Hand output to the sinks until the process has ended and its output is read."""
    next_tick = time.monotonic() + tick_s
    with selectors.DefaultSelector() as selector:
        for name, sink in sinks.items():
            selector.register(getattr(process, name), selectors.EVENT_READ, sink)
        while True:
            check_interrupt()
            exited = process.poll() is not None
            ready = selector.select(0 if exited else _POLL_S) if selector.get_map() else []
            for key, _ in ready:
                if data := os.read(key.fd, _READ_BYTES):
                    key.data(data)
                else:
                    selector.unregister(key.fileobj)
            # A background grandchild may hold the pipes open: an ended process with nothing to read is done.
            if exited and not ready:
                return
            now = time.monotonic()
            if now >= deadline and not exited:
                raise ProcessTimeout
            if on_tick and now >= next_tick:
                on_tick()
                next_tick = time.monotonic() + tick_s
            if not selector.get_map() and not exited:
                _wait(process, min(_POLL_S, max(deadline - now, 0)))


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def _kill(process: subprocess.Popen[bytes], own_group: bool) -> None:
    if own_group:
        # Also when the leader has ended: its children may not have.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    else:
        process.kill()
    process.wait()
