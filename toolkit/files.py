"""Files and folders that appear under their names whole or not at all.

Everything is made beside its place, on the same file system, and renamed. A process that is killed meanwhile
leaves ``.NAME.partial-*`` behind and nothing under the name. Nothing waits for the disk: this guards against
killed processes, not against power cuts, after which hashes tell what has to be made again.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# In the name of what is being made.
PARTIAL = ".partial-"


def expanded(path: str | Path) -> Path:
    """A path as it was typed, with ``~`` and ``~name`` at its begin replaced; an unknown name stays as it is.

    ``Path.expanduser`` raises RuntimeError for one, and ValueError for what no name can be.
    """
    try:
        return Path(os.path.expanduser(path))
    except ValueError:
        return Path(path)


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Where to write a file that gets the name ``target`` when the block ends, and is removed when it raises.

    Raises:
        OSError: the folder is missing or not writable.
    """
    partial = target.with_name(f".{target.name}{PARTIAL}{uuid.uuid4().hex}")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(target: Path, content: str | bytes) -> None:
    """Write a file, text as UTF-8.

    Raises:
        OSError: the folder is missing or not writable.
    """
    with whole_file(target) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """A folder on the file system of ``target`` to make it in; it is gone when the block ends."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent,
        prefix=f".{target.name}{PARTIAL}{os.getpid()}-{_host()}-",
        ignore_cleanup_errors=True,
    ) as scratch:
        yield Path(scratch)


def remove_leftovers_of_the_dead(target: Path) -> None:
    """Delete what processes of this machine that have ended left beside ``target``, of it and of others.

    Living processes, and those of other machines that share the folder, may still be making theirs.
    """
    for left in target.parent.glob(f".*{PARTIAL}*"):
        # Named by :func:`scratch_beside`.
        process = re.fullmatch(r"(\d+)-([0-9a-f]{8})-[^-]*", left.name.rpartition(PARTIAL)[2])
        if process is not None and process[2] == _host() and not _alive(int(process[1])):
            shutil.rmtree(left, ignore_errors=True)


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def staged_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill for ``target``; it is gone when the block ends without :func:`put_in_place`."""
    with scratch_beside(target) as scratch:
        folder = scratch / target.name
        folder.mkdir()
        yield folder


def put_in_place(made: Path, target: Path) -> Path:
    """Give what was made its name; a folder of that name makes way only then. Returns ``target``."""
    if not target.is_dir():
        return made.replace(target)
    retired = target.with_name(f".{target.name}.replaced-{uuid.uuid4().hex}")
    target.rename(retired)
    made.rename(target)
    shutil.rmtree(retired, ignore_errors=True)
    return target


def remove_leftovers(target: Path) -> None:
    """Delete what killed processes left of ``target``. Nobody else may be making it now."""
    for pattern in (f".{target.name}.partial-*", f".{target.name}.replaced-*"):
        for left in target.parent.glob(pattern):
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def check_room(folder: Path, size_bytes: int) -> None:
    """Refuse to fetch what a folder has no room for: whoever fetches it would blame the network.

    Raises:
        OSError: there is less space; as the system says it when it is full.
    """
    if shutil.disk_usage(folder).free < size_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
