"""Locks between the processes of this host.

The system drops a lock when its holder dies, so no stale one can remain. The files stay, because removing one
would let two processes lock two files of the same name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from toolkit.progress import stage


class LockHeld(Exception):
    """Another process holds a lock; ``holder`` is its process id, or "unknown"."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"held by process {holder}")
        self.holder = holder


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock ``path`` while the block runs, waiting for another process that holds it."""
    lock = _lock(path)
    try:
        _acquire_at_once(lock, path)
    except Timeout:
        with stage(f"waiting for another process ({path.name})"):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def held_or_refused(path: Path) -> Iterator[None]:
    """Hold the lock ``path`` while the block runs; waits for nobody.

    Raises:
        LockHeld: another process holds it, or this one does.
    """
    lock = _lock(path)
    try:
        _acquire_at_once(lock, path)
    except Timeout:
        raise LockHeld(path.read_text(encoding="utf-8").strip() or "unknown") from None
    try:
        path.write_text(f"{os.getpid()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock now; a lock that cannot be tried counts as free."""
    if not path.is_file():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def holder(path: Path) -> str | None:
    """The process id that holds a lock, without trying the lock: whoever wants it then is not refused.

    None when no process holds it, and where the system has no list of locks (only Linux has).
    """
    try:
        inode = path.stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="utf-8")
    except OSError:
        return None
    for line in locks.splitlines():
        # 1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF
        words = line.split()
        if len(words) >= 6 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            return words[4]
    return None


def _acquire_at_once(lock: FileLock, path: Path) -> None:
    """Take a lock, or raise Timeout; an error of the system names the file, which flock itself does not."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def _lock(path: Path) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)
