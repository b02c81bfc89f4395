"""Files and folders that appear under their names whole or not at all.

Everything is made beside its place, on the same file system, and renamed. A process that is killed meanwhile
leaves ``.NAME.partial-*`` behind and nothing under the name. Nothing waits for the disk: this guards against
killed processes, not against power cuts, after which hashes tell what has to be made again.

A name that is a link stands for what it leads to, which is replaced; the link stays. What exists and is no
regular file (a pipe, a terminal, /dev/null) has no place to be renamed to: it is written into.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
import platform
import re
import shutil
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# In the name of what is being made.
PARTIAL = ".partial-"
# In the name of a folder that makes way.
_REPLACED = ".replaced-"
# Where systems list what a process has open, and how many links they follow.
_OPEN_FILES = ("/proc/", "/dev/fd")
_MAXIMUM_LINKS = 40


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

    A file that was there hands on its mode and, where that is allowed, its owner. Its hard links keep the old
    content.

    Raises:
        OSError: the folder is missing or not writable, or what is written into takes nothing.
    """
    before = _status(target)
    if before is not None and _is_stream(target, before):
        with tempfile.TemporaryDirectory() as scratch:
            made = Path(scratch) / "content"
            yield made
            _pour(made, target)
        return
    real = _real(target)
    partial = real.with_name(f".{real.name}{PARTIAL}{uuid.uuid4().hex}")
    try:
        if before is not None:
            # Before there is content in it, which others may not be allowed to read.
            partial.touch(stat.S_IRUSR | stat.S_IWUSR, exist_ok=False)
        yield partial
        if before is not None:
            _hand_on(before, partial)
        partial.replace(real)
    finally:
        partial.unlink(missing_ok=True)


def _status(target: Path) -> os.stat_result | None:
    """Of what a name leads to; None when there is nothing yet."""
    try:
        return target.stat()
    except FileNotFoundError:
        return None


def _real(target: Path) -> Path:
    """The place that a name leads to over all links, whether there is something or not."""
    return Path(os.path.realpath(target))


def _is_stream(target: Path, status: os.stat_result) -> bool:
    """Whether to write into what is there: it is neither file nor folder, or this process has it open.

    /dev/stdout and /dev/fd/1 may lead to a file: to replace it would take it away from its other writers.
    """
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return True
    return _open_file(target) is not None


def _open_file(name: Path) -> Path | None:
    """The place in the system's lists of open files that a name leads to; None where it leads to none."""
    for _ in range(_MAXIMUM_LINKS):
        folder = _real(name.parent)
        if str(folder).startswith(_OPEN_FILES):
            return folder / name.name
        if not name.is_symlink():
            break
        name = name.parent / name.readlink()
    return None


def _pour(made: Path, stream: Path) -> None:
    with made.open("rb") as source, open(_descriptor(stream), "wb") as sink:
        shutil.copyfileobj(source, sink)


def _descriptor(stream: Path) -> int:
    """To write into what is there: never made anew, never cut.

    What this process has open is not opened again: of a file that stdout goes to there would be two places
    to write on at, and what comes next would be written over this.
    """
    place = _open_file(stream)
    if place is not None and place.parent == _real(Path("/dev/fd")) and place.name.isdigit():
        number = int(place.name)
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
            return os.dup(number)
    return os.open(stream, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY)


def _hand_on(before: os.stat_result, partial: Path) -> None:
    with suppress(PermissionError):
        os.chown(partial, before.st_uid, before.st_gid)
    partial.chmod(stat.S_IMODE(before.st_mode))


@contextmanager
def readable_again(path: Path) -> Iterator[Path]:
    """A name under which a content can be read more than once, for the time of the block.

    That is the path itself, but for a pipe, a terminal or what else gives its content only once: a copy then.

    Raises:
        OSError: it cannot be read.
    """
    status = _status(path)
    if status is None or stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
        yield path
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "content"
        with path.open("rb") as source, copy.open("wb") as kept:
            shutil.copyfileobj(source, kept)
        yield copy


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
    target = _real(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        dir=target.parent,
        prefix=f".{target.name}{PARTIAL}{_process()}-",
        ignore_cleanup_errors=True,
    ) as scratch:
        yield Path(scratch)


def remove_leftovers_of_the_dead(target: Path) -> None:
    """Delete what processes of this machine that have ended left beside ``target``, of it and of others.

    Living processes, and those of other machines that share the folder, may still be making theirs. A folder
    that made way for one that never came is kept: there is no other.
    """
    parent = _real(target).parent
    for left in [*parent.glob(f".*{PARTIAL}*"), *parent.glob(f".*{_REPLACED}*")]:
        # Named by :func:`scratch_beside` or :func:`put_in_place`.
        named = re.fullmatch(rf"\.(.*)({PARTIAL}|{_REPLACED})(\d+)-([0-9a-f]{{8}})-[^-]*", left.name)
        if named is None or named[4] != _host() or _alive(int(named[3])):
            continue
        if named[2] == PARTIAL or left.with_name(named[1]).exists():
            shutil.rmtree(left, ignore_errors=True)


def _process() -> str:
    return f"{os.getpid()}-{_host()}"


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
        folder = scratch / _real(target).name
        folder.mkdir()
        yield folder


@contextmanager
def claimed(target: Path, scratch: Path) -> Iterator[bool]:
    """Whether nobody else is making ``target``; nobody else is told so until the block ends.

    The system drops the claim when its holder dies, and no file is left of it. Between hosts that share a
    folder, and where a file system has no locks, there is none: the last one wins.

    Args:
        target: what is being made.
        scratch: the folder of :func:`scratch_beside` in which it is.
    """
    real = _real(target)
    with _opened(scratch) as own:
        with _opened(real.parent) as parent:
            # One after the other: two that claim at once would each be in the other's way.
            with suppress(OSError):
                fcntl.flock(parent, fcntl.LOCK_EX)
            others = [
                one for one in real.parent.glob(f".{glob.escape(real.name)}{PARTIAL}*") if one != scratch
            ]
            alone = not any(map(_is_claimed, others))
            with suppress(OSError):
                fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield alone


def _is_claimed(folder: Path) -> bool:
    try:
        with _opened(folder) as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        # Gone meanwhile, or on a file system without locks.
        return False
    return False


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def put_in_place(made: Path, target: Path) -> Path:
    """Give what was made its name; a folder of that name makes way only then. Returns ``target``.

    Made by :func:`scratch_beside` of the same target, it lies on the same file system.
    """
    real = _real(target)
    if real.is_dir():
        retired = real.with_name(f".{real.name}{_REPLACED}{_process()}-{uuid.uuid4().hex}")
        real.rename(retired)
        made.rename(real)
        shutil.rmtree(retired, ignore_errors=True)
    else:
        made.replace(real)
    return target


def remove_leftovers(target: Path) -> None:
    """Delete what killed processes left of ``target``. Nobody else may be making it now."""
    real = _real(target)
    for pattern in (f".{glob.escape(real.name)}{PARTIAL}*", f".{glob.escape(real.name)}{_REPLACED}*"):
        for left in real.parent.glob(pattern):
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
