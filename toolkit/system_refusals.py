"""What the system refuses, with the path and a remedy: a full disk or a folder that may not be written to."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from toolkit.errors import ToolkitError
from toolkit.files import PARTIAL
from toolkit.settings import Settings

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (
    *FULL,
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO),
    *(errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EMFILE, errno.ENFILE),
    *(errno.EEXIST, errno.EBUSY, errno.ESTALE, errno.ENOLCK, errno.ENOTSUP),
)
# What helps instead of making it writable. Network file systems may lack locks, and lose files that are open.
_REMEDIES = {
    **dict.fromkeys(FULL, "Make room there"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR), "A file is in the way: move it away"),
    **dict.fromkeys((errno.ENOLCK, errno.ENOTSUP, errno.ESTALE), "Put it on a disk of this machine"),
    errno.EBUSY: "End what uses it",
    errno.ENAMETOOLONG: "Choose a shorter name: while it is made, its own is longer by 40 characters",
    errno.ELOOP: "Its links lead in a circle: remove one",
    errno.EISDIR: "A folder is in the way: move it away",
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "Close other programs, or raise `ulimit -n`"),
}
# How tempfile says that none of its folders may be written to; it names no file.
_NO_TEMPORARY_FOLDER = "No usable temporary directory"


def explain(error: OSError, settings: Settings) -> ToolkitError | None:
    """What the system refused, with the path and what to do; None for an error that nobody expects.

    Args:
        error: as Python raised it.
        settings: say which folders are ours, and which variables move them.
    """
    if _NO_TEMPORARY_FOLDER in (error.strerror or ""):
        return ToolkitError(
            f"{error.strerror}",
            next_step="Set TMPDIR to a folder that may be written to, or make room there.",
        )
    path = Path(os.fsdecode(error.filename)).absolute() if isinstance(error.filename, str | bytes) else None
    ours = _variable(path, settings) if path is not None else None
    # What we make ourselves is missing only where the system takes no files, as /proc.
    made = path is not None and PARTIAL in path.name
    if error.errno not in _REFUSED and not (error.errno == errno.ENOENT and (ours or made)):
        return None
    doing = _REMEDIES.get(error.errno or 0, "Make it writable")
    if path is None:
        return ToolkitError(
            f"the system refused: {error.strerror}",
            next_step=f"{doing}: the cache is {settings.cache_dir} (SLM_CACHE_DIR), results are in "
            f"{settings.data_dir} (SLM_DATA_DIR), temporary files in TMPDIR.",
        )
    elsewhere = f", or set {ours} to another folder" if ours else ""
    return ToolkitError(
        f"{error.strerror}", subject=str(path), next_step=f"{doing}{elsewhere or ', or use another path'}."
    )


def _variable(path: Path, settings: Settings) -> str | None:
    """The variable by which the folder can be moved that a path is in, or on the way to."""
    folders = {"SLM_CACHE_DIR": settings.cache_dir, "SLM_DATA_DIR": settings.data_dir}
    return next(
        (name for name, folder in folders.items() if path.is_relative_to(folder)),
        next((name for name, folder in reversed(folders.items()) if folder.is_relative_to(path)), None),
    )
