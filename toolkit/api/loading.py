"""Artifacts as callers name them."""

from __future__ import annotations

from pathlib import Path

from toolkit.artifact import Artifact


def loaded(artifact: Artifact | Path | str) -> Artifact:
    """An artifact itself, or the one in a folder.

    Raises:
        ArtifactError: see :meth:`Artifact.load`.
    """
    return artifact if isinstance(artifact, Artifact) else Artifact.load(Path(artifact))
