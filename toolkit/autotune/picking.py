"""Taking one artifact of a search's front."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from toolkit.artifact import MANIFEST, Artifact, publish, staging
from toolkit.autotune.search import Measured
from toolkit.errors import UsageError

WORDS = ("best", "smallest", "fastest")


def check_pick(word: str, *, with_speed: bool) -> None:
    """Refuse what no front could answer.

    Raises:
        UsageError: no word and no number, or the fastest of a search that measures no speed.
    """
    if word == "fastest" and not with_speed:
        raise UsageError(
            "--pick fastest needs measured speeds",
            next_step="Name the device to measure on: --device SERIAL or --device local.",
        )
    if word not in WORDS and not (word.isdecimal() and int(word) > 0):
        raise UsageError(
            f"--pick {word}: no number of the front, and none of {', '.join(WORDS)}",
            next_step="Pass --pick best, or the number of a point in the table that the search prints.",
        )


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
    if word.isdecimal() and 1 <= int(word) <= len(front):
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
