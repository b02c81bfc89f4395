"""Finds a static busybox, the virtual phone's shell and tools."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

from toolkit.errors import VirtualPhoneFailed
from toolkit.files import check_room, put_in_place
from toolkit.settings import Settings

_PACKAGE = "busybox-static"
_NEXT = f"Install Debian's package {_PACKAGE} (apt install {_PACKAGE})."
_PT_INTERP = 3
# e_machine and Debian's word for an architecture.
_MACHINES = {"x86_64": 62, "arm64-v8a": 183}
_ARCHITECTURES = {"x86_64": "amd64", "arm64-v8a": "arm64"}
_DOWNLOAD_TIMEOUT_S = 120
# The package, unpacked, and package lists where the machine has none.
_NEEDED_BYTES = 150_000_000


def find_busybox(settings: Settings, abi: str) -> Path:
    """Return a static busybox for an ABI: on PATH, cached, or out of Debian's package, which needs no root.

    Raises:
        VirtualPhoneFailed: none found and none could be fetched; names the package.
        OSError: there is no room for it.
    """
    folder = settings.cache_dir / "busybox" / abi
    cached = folder / "busybox"
    on_path = shutil.which("busybox")
    for candidate in (Path(on_path) if on_path else None, cached):
        if candidate and candidate.is_file() and is_static_elf(candidate, abi):
            return candidate
    fetched = _fetch(folder, abi)
    return put_in_place(fetched, cached)


def is_static_elf(path: Path, abi: str | None = None) -> bool:
    """Whether a file is a 64-bit little-endian ELF program, for ``abi`` if given, that needs no loader."""
    with path.open("rb") as file:
        header = file.read(64)
        if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01":
            return False
        (machine,) = struct.unpack_from("<H", header, 18)
        if abi is not None and machine != _MACHINES[abi]:
            return False
        (table_offset,) = struct.unpack_from("<Q", header, 32)
        entry_bytes, entries = struct.unpack_from("<HH", header, 54)
        file.seek(table_offset)
        table = file.read(entry_bytes * entries)
    kinds = {struct.unpack_from("<I", table, i * entry_bytes)[0] for i in range(entries)}
    return _PT_INTERP not in kinds


def _fetch(folder: Path, abi: str) -> Path:
    """Download and unpack Debian's package into ``folder``; nothing is installed."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise VirtualPhoneFailed("The virtual phone needs a static busybox.", next_step=_NEXT)
    download = folder / "download"
    shutil.rmtree(download, ignore_errors=True)
    download.mkdir(parents=True)
    check_room(download, _NEEDED_BYTES)
    # Package lists of our own when the machine has none, as fresh containers do, or none of the architecture:
    # the machine's need root, and are its administrator's.
    lists, cache = download / "lists", download / "cache"
    (lists / "partial").mkdir(parents=True)
    (cache / "archives" / "partial").mkdir(parents=True)
    architecture = _ARCHITECTURES[abi]
    own = {
        "Dir::State::lists": lists,
        "Dir::Cache": cache,
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
    }
    options = [word for name, value in own.items() for word in ("-o", f"{name}={value}")]
    fetched = (
        _run(["apt-get", "download", f"{_PACKAGE}:{architecture}"], download)
        or _run(["apt-get", *options, "update"], download)
        and _run(["apt-get", *options, "download", _PACKAGE], download)
    )
    packages = sorted(download.glob(f"{_PACKAGE}_*.deb"))
    unpacked = download / "unpacked"
    if (
        not fetched
        or not packages
        or not _run(["dpkg-deb", "-x", str(packages[-1]), str(unpacked)], download)
    ):
        raise VirtualPhoneFailed(
            f"The virtual phone needs a static busybox, and fetching {_PACKAGE} failed.", next_step=_NEXT
        )
    for candidate in (unpacked / "bin" / "busybox", unpacked / "usr" / "bin" / "busybox"):
        if candidate.is_file() and is_static_elf(candidate, abi):
            return candidate
    raise VirtualPhoneFailed(f"The package {_PACKAGE} holds no static busybox.", next_step=_NEXT)


def _run(argv: list[str], folder: Path) -> bool:
    try:
        finished = subprocess.run(
            argv, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL, timeout=_DOWNLOAD_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        return False
    return finished.returncode == 0
