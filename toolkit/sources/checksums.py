"""Hashes of weight files, remembered by path, inode, size and times of change.

Archives set modification times back when they are unpacked, so that two models of one size may share theirs;
ctime cannot be set.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from toolkit.artifact import FileEntry
from toolkit.files import write_whole
from toolkit.progress import ProgressCallback, bar, silent

_CHUNK_BYTES = 8 << 20
# Below this a bar would only flicker.
_SHOW_PROGRESS_BYTES = 256 << 20


def weight_file_entries(files: list[Path], root: Path, cache_dir: Path) -> list[FileEntry]:
    """Size and sha256 of weight files, with paths relative to ``root``.

    Args:
        files: the files to hash.
        root: folder that the paths in the entries are relative to.
        cache_dir: hashes are kept here, so that a second conversion does not read gigabytes again.
    """
    total_bytes = sum(file.stat().st_size for file in files)
    if total_bytes < _SHOW_PROGRESS_BYTES:
        return _entries(files, root, cache_dir, silent, total_bytes)
    with bar("hash weights") as progress:
        return _entries(files, root, cache_dir, progress, total_bytes)


def _entries(
    files: list[Path], root: Path, cache_dir: Path, progress: ProgressCallback, total_bytes: int
) -> list[FileEntry]:
    entries: list[FileEntry] = []
    done_bytes = 0
    for file in files:
        digest = _remembered_sha256(file, cache_dir, _shifted(progress, done_bytes, total_bytes))
        size_bytes = file.stat().st_size
        done_bytes += size_bytes
        entries.append(FileEntry(path=str(file.relative_to(root)), size_bytes=size_bytes, sha256=digest))
    return entries


def _shifted(progress: ProgressCallback, done_bytes: int, total_bytes: int) -> ProgressCallback:
    """Progress of one file as progress of all of them."""
    return lambda done, _: progress(done_bytes + done, total_bytes)


def _remembered_sha256(file: Path, cache_dir: Path, progress: ProgressCallback) -> str:
    # Hub snapshots are links into a blob folder: remember the blob, whatever name it goes by.
    resolved = file.resolve()
    status = resolved.stat()
    identity = {
        "path": str(resolved),
        "inode": status.st_ino,
        "size_bytes": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
    }
    record = cache_dir / "sha256" / f"{hashlib.sha256(str(resolved).encode()).hexdigest()}.json"
    try:
        remembered = json.loads(record.read_text(encoding="utf-8"))
        if {key: remembered[key] for key in identity} == identity:
            return str(remembered["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # never hashed, changed since, or a damaged record: hash again
    digest = sha256_with_progress(resolved, progress)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_whole(record, json.dumps({**identity, "sha256": digest}))
    return digest


def sha256_with_progress(file: Path, progress: ProgressCallback) -> str:
    """Hex sha256 of a file's content, reporting bytes."""
    digest = hashlib.sha256()
    total_bytes = file.stat().st_size
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
            progress(stream.tell(), total_bytes)
    return digest.hexdigest()
