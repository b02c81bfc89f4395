"""What native libraries write to stderr past Python."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2


@contextmanager
def without_lines(beginning: bytes) -> Iterator[None]:
    """Leave out lines that begin so; all others are written when the block ends, however it ends.

    For short blocks: what a process writes that dies in one is lost.
    """
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(_STDERR)
    except OSError:
        # It is closed: there is nothing to be kept clean.
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), _STDERR)
        try:
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
            written.seek(0)
            for line in written:
                if not line.startswith(beginning):
                    os.write(_STDERR, line)
