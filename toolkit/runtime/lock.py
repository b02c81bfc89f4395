"""A lock between processes that build or download the same thing."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.progress import stage


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold ``path`` while the block runs, waiting for another process that holds it.

    The kernel releases it when the process dies, so a crash leaves nothing to clean up; the empty
    file stays, because removing it would let two processes lock two different files.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with stage(f"waiting for another process ({path.name})"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
