"""Artifacts for hosts without a common file system: they go through a URL that fsspec knows.

::

    <url>/<key>/<files>          uploaded first
                manifest.json    last, and renamed: without it a folder is no artifact
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import ValidationError

from toolkit.artifact import MANIFEST, Artifact, Manifest, publish, staging
from toolkit.errors import ArtifactCorrupt, ArtifactError, BatchError, NotAnArtifact, ToolkitError, UsageError
from toolkit.extras import install_command
from toolkit.locks import exclusive
from toolkit.recipes.workspace import Workspace


@dataclass(frozen=True)
class Share:
    """A folder at a URL: file:///..., sftp://..., s3://... , whatever fsspec has a package for."""

    url: str

    def keys(self) -> set[str]:
        """Keys of the artifacts that are there, whole.

        Raises:
            UsageError: fsspec cannot read the URL, or a package for it is not installed.
            BatchError: it cannot be reached.
        """
        with self._errors():
            files, root = self._open()
            files.invalidate_cache()
            return {PurePosixPath(path).parent.name for path in files.glob(f"{root}/*/{MANIFEST}")}

    def has(self, key: str, artifact: Artifact) -> bool:
        """Whether it has these very files; their sizes are compared, not their content.

        Raises:
            BatchError: it cannot be reached.
        """
        with self._errors():
            files, root = self._open()
            files.invalidate_cache()
            try:
                there = Manifest.model_validate_json(files.cat_file(f"{root}/{key}/{MANIFEST}"))
                sizes = [files.size(f"{root}/{key}/{entry.path}") for entry in there.files]
            except (FileNotFoundError, ValidationError):
                return False
            return there.sha256 == artifact.manifest.sha256 and sizes == [
                entry.size_bytes for entry in there.files
            ]

    def put(self, key: str, artifact: Artifact) -> None:
        """Upload an artifact, its manifest last.

        Raises:
            BatchError: the share cannot be reached or written to.
        """
        with self._errors():
            files, root = self._open()
            folder = f"{root}/{key}"
            for entry in artifact.manifest.files:
                target = f"{folder}/{entry.path}"
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
                files.put_file(str(artifact.path / entry.path), target)
            partial = f"{folder}/.{MANIFEST}.partial-{uuid.uuid4().hex}"
            files.pipe_file(partial, (artifact.path / MANIFEST).read_bytes())
            files.mv(partial, f"{folder}/{MANIFEST}")

    def get(self, key: str, target: Path) -> Artifact | None:
        """Download an artifact and check every file against its sha256; None when it is not there.

        Raises:
            ArtifactCorrupt: a file is missing or is not what the manifest says.
            BatchError: the share cannot be reached.
        """
        with self._errors():
            files, root = self._open()
            files.invalidate_cache()
            try:
                manifest = Manifest.model_validate_json(files.cat_file(f"{root}/{key}/{MANIFEST}"))
            except (FileNotFoundError, ValidationError):
                return None
            with staging(target, overwrite=True) as folder:
                for entry in manifest.files:
                    place = _inside(folder, entry.path, self._shown(f"{self.url}/{key}"))
                    place.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        files.get_file(f"{root}/{key}/{entry.path}", str(place))
                    except FileNotFoundError:
                        raise self._corrupt(key, f"{entry.path} is missing") from None
                try:
                    Artifact(folder, manifest).verify()
                except ArtifactCorrupt as error:
                    raise self._corrupt(key, error.what) from None
                return publish(folder, target, manifest)

    def _open(self) -> tuple[Any, str]:
        try:
            from fsspec.core import url_to_fs
        except ModuleNotFoundError:
            raise UsageError("--share needs the package fsspec", next_step=install_command("ray")) from None
        try:
            files, root = url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise UsageError(
                f"cannot be used: {error}",
                subject=self._shown(f"--share {self.url}"),
                next_step="Give a URL that fsspec knows, and install the package that it names.",
            ) from None
        return files, str(root).rstrip("/")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except ToolkitError:
            raise
        except Exception as error:
            # Behind fsspec every protocol has a library with errors of its own; all of them mean this.
            raise BatchError(
                self._shown(f"cannot be used: {type(error).__name__}: {error}"),
                subject=self._shown(f"share {self.url}"),
                next_step="Check the URL, the network and who may write there, and run again.",
            ) from error

    def _corrupt(self, key: str, what: str) -> ArtifactCorrupt:
        again = "Delete that folder and run again: it is made anew."
        return ArtifactCorrupt(what, subject=self._shown(f"{self.url}/{key}"), next_step=again)

    @staticmethod
    def _shown(text: str) -> str:
        return re.sub(r"://[^/@\s]*@", "://***@", text)


def obtained(key: str, workspace: Workspace) -> Artifact:
    """The artifact of a key, out of the workspace or else from the share.

    Raises:
        ArtifactError: it is in neither of them, or damaged.
        BatchError: the share cannot be reached.
    """
    target = workspace.artifact(key)
    if workspace.share is None:
        return Artifact.load(target)
    # Two steps of one host may want it at the same time.
    with exclusive(target.parent / f".{key}.lock"):
        try:
            return Artifact.load(target)
        except ArtifactError:
            workspace.remove_leftovers(key)
        found = Share(workspace.share).get(key, target)
    if found is None:
        raise NotAnArtifact(
            "is neither in this host's workspace nor at the share",
            subject=f"artifact {key}",
            next_step="Run the recipe again: its conversion is done again.",
        )
    return found


def _inside(folder: Path, path: str, subject: str) -> Path:
    """A file's place; a manifest from elsewhere must not name one outside."""
    place = Path(os.path.normpath(folder / path))
    if not place.is_relative_to(folder) or place == folder:
        raise ArtifactCorrupt(f"has a file outside of it: {path}", subject=subject, next_step="Delete it.")
    return place
