"""Is the artifact still what its manifest says? Hashed once, then remembered while untouched."""

from __future__ import annotations

import json
from pathlib import Path

from toolkit.artifact import Artifact
from toolkit.settings import Settings


def verify_artifact(artifact: Artifact, settings: Settings) -> None:
    """Hash every file, unless a receipt says that these very files were hashed before.

    A receipt holds each file's inode, size and times of change; ctime cannot be set back by copying.

    Raises:
        ArtifactCorrupt: a file differs from its hash in the manifest.
    """
    receipt = settings.cache_dir / "verified" / f"{artifact.manifest.sha256[:16]}.json"
    stamps = json.dumps([_stamp(artifact.path / entry.path) for entry in artifact.manifest.files])
    if receipt.is_file() and receipt.read_text(encoding="utf-8") == stamps:
        return
    artifact.verify()
    receipt.parent.mkdir(parents=True, exist_ok=True)
    receipt.write_text(stamps, encoding="utf-8")


def _stamp(file: Path) -> list[str | int]:
    status = file.stat()
    return [str(file.absolute()), status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
