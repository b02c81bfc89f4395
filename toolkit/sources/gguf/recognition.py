"""Which files are GGUF files: those that say so in their first bytes, whatever their name is."""

from __future__ import annotations

from pathlib import Path

MAGIC = b"GGUF"
_ENDING = ".gguf"


def is_gguf(path: Path) -> bool:
    """Whether a path is read as a GGUF file: by its ending, or by its content (Ollama's blobs)."""
    return path.name.lower().endswith(_ENDING) or _has_magic(path)


def without_ending(name: str) -> str:
    """A file's name without the ending; "model.Q4_0" has none."""
    return name[: -len(_ENDING)] if name.lower().endswith(_ENDING) else name


def _has_magic(path: Path) -> bool:
    try:
        # Of a pipe, the first bytes can be read only once.
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False
