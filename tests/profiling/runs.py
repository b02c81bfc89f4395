"""Options of quick and of endless runs, and looking at processes from outside."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.request import ProfileRequest

T = TypeVar("T")

# Without a gate: most tests are about something else, and must not depend on who else uses this machine.
SMALL = ProfileRequest(
    prompt_tokens=16, generate_tokens=4, repetitions=2, warmup=1, threads=1, gate=GateOptions(name="off")
)
SMALL_FLAGS = [
    *("--prompt-tokens", "16", "--generate-tokens", "4", "--repetitions", "2", "--warmup", "1"),
    *("--threads", "1", "--gate", "off"),
]
# Far longer than any test waits, unless something ends it.
ENDLESS_FLAGS = [*SMALL_FLAGS, "--repetitions", "1000000"]


def wait_for(what: Callable[[], T | None], timeout_s: float = 60) -> T:
    """Poll until ``what`` gives something."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {timeout_s} s in vain for {what.__name__}")


def processes_naming(word: str) -> list[list[str]]:
    """Command lines, as this host sees them, that have ``word`` as one of their words or within one."""
    return [words for _, words in _processes() if any(word in each for each in words)]


def runner_pids(run_id: str | None = None) -> list[int]:
    """Runners of a run, or of any, as this host sees them, also those on virtual phones."""
    # The runner itself starts with its loader; adb and shells only mention it.
    return [
        pid for pid, words in _processes() if "/ld-linux" in words[0] and (run_id is None or run_id in words)
    ]


def _processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        yield int(entry.name), line.decode(errors="replace").split("\0")


@contextmanager
def held_runner(run_id: str) -> Iterator[None]:
    """A run's runner stands still while the block runs, so that it cannot come to its end before."""
    [pid] = runner_pids(run_id)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def kill_runner(run_id: str) -> None:
    """What the low-memory killer does."""
    for pid in wait_for(lambda: runner_pids(run_id)):
        os.kill(pid, signal.SIGKILL)
