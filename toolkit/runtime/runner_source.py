"""Where the runner's C++ sources are, and what identifies them."""

from __future__ import annotations

import hashlib
from pathlib import Path

from toolkit.artifact import sha256_of
from toolkit.errors import BuildFailed

# What goes into the executable; tests and benchmarks may change without a new bundle.
_SOURCES = ("CMakeLists.txt", "core", "engines")


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
    for name in _SOURCES:
        path = folder / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                digest.update(f"{sha256_of(file)}  {file.relative_to(folder)}\n".encode())
    return digest.hexdigest()
