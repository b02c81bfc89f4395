"""The file that -o names: whole under its name or not there at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import UsageError
from toolkit.files import whole_file


@contextmanager
def output_file(output: Path) -> Iterator[Path]:
    """Where to write a file that gets its name when the block ends.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        with whole_file(output) as partial:
            yield partial
    except OSError as error:
        missing = not output.parent.is_dir()
        raise UsageError(
            f"cannot be written: {error.strerror}",
            subject=str(output),
            next_step=f"Make its folder first (mkdir -p {output.parent}), or write elsewhere: -o FILE."
            if missing
            else "Name another file: -o FILE.",
        ) from None
