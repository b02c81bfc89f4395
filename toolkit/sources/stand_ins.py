"""What stands in a folder in place of a file: a link that leads nowhere, a pointer of git-lfs."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import SourceCorrupt

_READ = (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja")
_POINTER = b"version https://git-lfs.github.com/spec/"
_LARGEST_POINTER_BYTES = 1024


def refuse_stand_ins(folder: Path) -> None:
    """Refuse a folder in which a file that would be read is not there itself.

    Such a file is not absent: without it another one would be taken in its place, older weights, say.

    Raises:
        SourceCorrupt: names the first one.
    """
    for path in sorted(folder.glob("*")):
        if path.name.endswith(_READ):
            refuse_broken_link(path)
            if path.is_file() and path.stat().st_size <= _LARGEST_POINTER_BYTES:
                refuse_pointer(path, path.read_bytes())


def refuse_broken_link(path: Path) -> None:
    """Refuse a link to nothing: a cache that was cleared, a download that never ended.

    Raises:
        SourceCorrupt: it is one.
    """
    if path.is_symlink() and not path.exists():
        raise SourceCorrupt(
            "is a link to a file that is not there",
            subject=str(path),
            next_step="Download the model again. If the model needs no such file, remove the link.",
        )


def refuse_pointer(path: Path, start: bytes) -> None:
    """Refuse a file that was never fetched: only its name in git-lfs is there.

    Args:
        path: the file.
        start: its first bytes.

    Raises:
        SourceCorrupt: it is one.
    """
    if start.startswith(_POINTER):
        raise SourceCorrupt(
            "is a git-lfs pointer, not the file itself",
            subject=str(path),
            next_step="Run `git lfs pull` in the folder, or download the file.",
        )
