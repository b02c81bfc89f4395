"""Taking one artifact of a search's front."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from toolkit.artifact import MANIFEST, Artifact, publish, staging
from toolkit.autotune.search import Measured
from toolkit.errors import UsageError

WORDS = ("best", "smallest", "fastest")


def picked(front: Sequence[Measured], word: str) -> Measured:
    """A point of the front: by its number in the table from 1, or by what it is ahead in.

    Raises:
        UsageError: nothing is within the limits, or no such point.
    """
    if not front:
        raise UsageError(
            "nothing that was tried is within all limits",
            next_step="Loosen --max-mb, --max-loss or --min-speed, or allow more --tries.",
        )
    if word == "best":
        return min(front, key=lambda one: (one.loss, one.size_bytes))
    if word == "smallest":
        return min(front, key=lambda one: (one.size_bytes, one.loss))
    if word == "fastest" and front[0].tokens_per_second is not None:
        return max(front, key=lambda one: one.tokens_per_second or 0.0)
    if word.isdigit() and 1 <= int(word) <= len(front):
        return front[int(word) - 1]
    raise UsageError(
        f"--pick {word}: the front has points 1 to {len(front)}"
        + (", whose speed was not measured" if word == "fastest" else ""),
        next_step=f"Pick one by its number, or {', '.join(WORDS)} (the last one with --device).",
    )


def written(one: Measured, output: Path, *, overwrite: bool) -> Artifact:
    """Copy an artifact out of the workspace.

    Raises:
        ArtifactExists: the target exists and may not be replaced.
        ArtifactError: it is damaged.
    """
    artifact = Artifact.load(one.artifact)
    with staging(output, overwrite=overwrite) as folder:
        shutil.copytree(
            artifact.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST, ".*")
        )
        return publish(folder, output, artifact.manifest)
