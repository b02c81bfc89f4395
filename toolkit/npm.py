"""Packages of the npm registry, pinned by hash, through the npm client."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import BuildFailed
from toolkit.files import check_room, sha256_of

_TIMEOUT_S = 1800


@dataclass(frozen=True)
class NpmPackage:
    """One version of a package.

    Attributes:
        sha256: of its archive.
        size: for people.
        needed_bytes: room that the download takes; npm holds a package once more while it writes it.
    """

    name: str
    version: str
    sha256: str
    size: str
    needed_bytes: int

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def download_package(package: NpmPackage, folder: Path, *, brings: str, otherwise: str = "") -> Path:
    """Download a package's archive into ``folder`` and return its path.

    Args:
        package: which one.
        folder: an empty one.
        brings: what it is needed for, for messages.
        otherwise: what can be done without it, one sentence.

    Raises:
        BuildFailed: npm is missing, the download failed, or the content is not the pinned one.
        OSError: there is no room for it.
    """
    archive = _pack(package, folder, brings, otherwise)
    actual = sha256_of(archive)
    if actual != package.sha256:
        raise BuildFailed(
            f"the downloaded package has sha256 {actual}, expected {package.sha256}",
            subject=str(package),
            next_step=f"Do not use it: the package was changed or damaged on its way. {otherwise}".rstrip(),
        )
    return archive


def _pack(package: NpmPackage, folder: Path, brings: str, otherwise: str) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise BuildFailed(
            f"npm is not installed; it brings {brings}",
            next_step=f"Install it (Debian: apt-get install npm). {otherwise}".rstrip(),
        )
    check_room(folder, package.needed_bytes)
    command = [npm, "pack", str(package), "--silent", "--pack-destination", str(folder)]
    failed = "npm could not download the package"
    again = f"Check the network and run it again. {otherwise}".rstrip()
    # npm does nothing for a user without a home folder, as a container's number without a name may be.
    homeless = {"HOME": str(folder)} if os.path.expanduser("~") == "~" else {}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | homeless,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"{failed} in {_TIMEOUT_S} s", subject=package.name, next_step=again) from None
    packages = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(packages) != 1:
        # --silent hides npm's own error lines as well; its exit code is all there is then.
        said = (done.stderr or done.stdout).strip()[-500:] or f"npm exit code {done.returncode}"
        raise BuildFailed(f"{failed}: {said}", subject=package.name, next_step=again)
    return packages[0]
