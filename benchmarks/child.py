"""Child processes with a time limit, in this process's own group and session.

One group means that Ctrl-C reaches all of them, and that the scheduler, which may weigh sessions against
each other, treats every engine alike.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import PeerFailed


@dataclass(frozen=True)
class Usage:
    """What a child took. ``peak_rss_bytes`` is the largest of it and the children it waited for."""

    seconds: float
    peak_rss_bytes: int


def run_child(
    command: Sequence[str | Path],
    *,
    log: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Usage:
    """Run a command to its end, output into ``log``.

    Args:
        command: program and arguments.
        log: gets stdout and stderr.
        timeout_s: the child and its descendants are killed after this.
        environment: variables on top of this process's own.
        cwd: working directory.

    Raises:
        PeerFailed: cannot start, non-zero exit, killed, or too slow; with the log's last line.
    """
    arguments = [str(part) for part in command]
    name = Path(arguments[0]).name
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        started = time.monotonic()
        try:
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=cwd,
            )
        except OSError as error:
            raise PeerFailed(f"{name} cannot start: {error.strerror}") from None
        try:
            finished = _wait(child.pid, timeout_s)
        except BaseException:
            _kill_tree(child.pid)
            raise
        if not finished:
            _kill_tree(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    if not finished:
        raise PeerFailed(f"{name} took longer than {timeout_s:.0f} s")
    if child.returncode != 0:
        raise PeerFailed(f"{name} {_how_it_ended(child.returncode)}: {_last_line(log)}")
    return Usage(seconds, usage.ru_maxrss * 1024)


def _wait(pid: int, timeout_s: float) -> bool:
    """Wait until the process has ended, without reaping it; False when the time is up."""
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], timeout_s)[0])
    finally:
        os.close(descriptor)


def _how_it_ended(returncode: int) -> str:
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"exited with {returncode}"


def _last_line(log: Path) -> str:
    # Progress bars end their lines with carriage returns.
    lines = log.read_text(errors="replace").replace("\r", "\n").split("\n")
    filled = [line.strip() for line in lines if line.strip()]
    return filled[-1][:300] if filled else "no output"


def _kill_tree(pid: int) -> None:
    for descendant in [*_descendants(pid), pid]:
        try:
            os.kill(descendant, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _descendants(pid: int) -> Iterator[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(word) for task in tasks for word in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return
    for child in children:
        yield from _descendants(child)
        yield child
