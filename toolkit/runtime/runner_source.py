"""Where the runner's C++ sources are, and what identifies them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from toolkit.errors import BuildFailed
from toolkit.files import sha256_of

# What does not go into the executable: a change in them needs no new bundle.
_LEFT_OUT = ("tests", "benchmarks", "build")


def runner_source() -> Path:
    """The device_runner folder: in the wheel, or at the root of an editable checkout.

    Raises:
        BuildFailed: it is in neither place.
    """
    here = Path(__file__).resolve().parent
    for folder in (here / "device_runner", here.parents[1] / "device_runner"):
        if (folder / "CMakeLists.txt").is_file():
            return folder
    raise BuildFailed(
        "the runner's sources (device_runner) are missing",
        subject=str(here),
        next_step="Reinstall slm-toolkit.",
    )


def source_sha256(folder: Path) -> str:
    """Hash over names and contents of everything that goes into the executable."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        relative = file.relative_to(folder)
        if file.is_file() and not relative.parts[0].startswith((*_LEFT_OUT, ".")):
            digest.update(f"{sha256_of(file)}  {relative}\n".encode())
    return digest.hexdigest()
