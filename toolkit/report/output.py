"""Writing files whole: a reader never sees half a report."""

from __future__ import annotations

from pathlib import Path


def write_whole(output: Path, content: str | bytes) -> None:
    """Write beside the target and rename.

    Raises:
        OSError: the folder is missing or not writable.
    """
    partial = output.with_name(f".{output.name}.partial")
    try:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.replace(output)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
