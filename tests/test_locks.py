"""Locks between the processes of this host."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from toolkit.locks import LockHeld, exclusive, held_or_refused, is_held

_HOLD = """
import pathlib, sys
from toolkit import locks
with getattr(locks, sys.argv[2])(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(lock: Path, how: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock; killed when the block ends."""
    command = [sys.executable, "-c", _HOLD, str(lock), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()


def test_the_holder_is_named_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "new folder" / "lock"
    with holder(lock, "held_or_refused") as process:
        for _ in range(2):  # who was refused must not wipe the holder's name
            with pytest.raises(LockHeld) as refused, held_or_refused(lock):
                pass
            assert refused.value.holder == str(process.pid)
        assert is_held(lock)
    assert not is_held(lock)
    with held_or_refused(lock):
        assert lock.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("way", [exclusive, held_or_refused])
def test_a_file_system_without_locks_is_refused_with_the_files_name(
    way: Callable[[Path], AbstractContextManager[None]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NFS without its lock daemon."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks available") as refused, way(tmp_path / "lock"):
        pass
    assert (refused.value.errno, refused.value.filename) == (errno.ENOLCK, str(tmp_path / "lock"))


def test_one_process_does_not_get_a_lock_twice(tmp_path: Path) -> None:
    with held_or_refused(tmp_path / "lock"), pytest.raises(LockHeld), held_or_refused(tmp_path / "lock"):
        pass


def test_waiting_ends_when_the_holder_does(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "lock"
    with holder(lock, "exclusive") as first:
        command = [sys.executable, "-c", _HOLD, str(lock), "exclusive"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as second:
            assert second.stderr is not None and second.stdout is not None
            assert b"waiting for another process (lock)" in second.stderr.readline()
            first.kill()
            assert second.stdout.readline() == b"held\n"
            second.kill()
    with exclusive(lock):
        assert lock.is_file()


def test_a_lock_that_nobody_ever_took_is_free(tmp_path: Path) -> None:
    assert not is_held(tmp_path / "absent" / "lock")
    assert not (tmp_path / "absent").exists()
