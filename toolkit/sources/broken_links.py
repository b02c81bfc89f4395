"""Links of a model's folder that lead nowhere: a cache that was cleared, a download that never ended."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import SourceCorrupt

_READ = (".json", ".safetensors", ".bin", ".model", ".txt", ".jinja")


def refuse_broken_links(folder: Path) -> None:
    """Refuse a folder in which a file that would be read is a link to nothing.

    Such a file is not absent: without it another one would be taken in its place, older weights, say.

    Raises:
        SourceCorrupt: names the first one.
    """
    for path in sorted(folder.glob("*")):
        if path.name.endswith(_READ) and path.is_symlink() and not path.exists():
            raise SourceCorrupt(
                "is a link to a file that is not there",
                subject=str(path),
                next_step="Download the model again. If the model needs no such file, remove the link.",
            )
