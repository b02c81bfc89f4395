"""Files that arrive whole and proven, or not at all; and files that need not travel again.

A file goes to ``NAME.part`` (a large one in pieces, see :mod:`toolkit.devices.resume`), is hashed on the
device, and renamed; see :mod:`toolkit.devices.proof`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

from toolkit.devices.arrival import FOLLOWED_BYTES, hashed_while_arriving
from toolkit.devices.base import Device
from toolkit.devices.proof import FILES_PER_CALL, Arrived, Delivery, check, finish, hash_timeout_s
from toolkit.devices.resume import is_resumable, piece_bytes, push_resumably, resumable_part
from toolkit.errors import DeviceError, DeviceFull, DeviceTimeout, TransferFailed
from toolkit.files import sha256_of, whole_file
from toolkit.progress import ProgressCallback, silent

PushOutcome = Literal["pushed", "unchanged"]

_CALL_TIMEOUT_S = 15.0
# File systems near their end fail in odd ways; this much stays free.
_SPACE_MARGIN_BYTES = 16 << 20


class HashedFile(Protocol):
    """One entry of a manifest's file list: path relative to the folder, hash in hex, size in bytes."""

    @property
    def path(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str: ...  # noqa: D102

    @property
    def size_bytes(self) -> int: ...  # noqa: D102


def push_verified(
    device: Device, local: Path, remote: str, *, sha256: str, progress: ProgressCallback = silent
) -> PushOutcome:
    """Push one file unless the device holds it already; see ``push_folder_verified``."""
    delivery = Delivery(local, remote, sha256, local.stat().st_size)
    return "pushed" if _deliver(device, [delivery], progress) else "unchanged"


def push_folder_verified(
    device: Device,
    folder: Path,
    files: Sequence[HashedFile],
    target: str,
    *,
    progress: ProgressCallback = silent,
) -> list[str]:
    """Push those files of a folder that the device does not hold already.

    Each appears under its final name whole and with the right hash, or not at all; a failure leaves no
    ``.part`` behind, as long as the device still answers, except what a later push of a large file goes on
    from. All files are checked in one call.

    Args:
        device: where to.
        folder: what the files' paths are relative to.
        files: a manifest's entries.
        target: absolute folder on the device; made when missing.
        progress: bytes of the files that travel, all together.

    Returns:
        Paths of the files that travelled; empty when everything was there.

    Raises:
        DeviceFull: noticed before anything is sent, where possible.
        TransferFailed: the device's hash differs: a damaged transfer, or the local file is not what its
            entry says.
        DeviceLost, DeviceTimeout, DeviceNotReady: as they say.
    """
    deliveries = {
        entry.path: Delivery(
            folder / entry.path, posixpath.join(target, entry.path), entry.sha256, entry.size_bytes
        )
        for entry in files
    }
    travelled = _deliver(device, list(deliveries.values()), progress)
    return [path for path, delivery in deliveries.items() if delivery in travelled]


def _deliver(device: Device, deliveries: Sequence[Delivery], progress: ProgressCallback) -> list[Delivery]:
    """Push what the device lacks; returns that."""
    same, free_bytes = check(device, deliveries)
    changed = [delivery for delivery, is_same in zip(deliveries, same, strict=True) if not is_same]
    total = sum(delivery.size_bytes for delivery in changed)
    if changed:
        pieces = [piece_bytes(device, delivery.size_bytes) for delivery in changed]
        _require_space(device, free_bytes, total + max(pieces))
    done = 0
    for group in _together(device, changed):

        def moved(now: int, _size: int, before: int = done) -> None:
            progress(before + now, total)

        if is_resumable(device, group[0].size_bytes):
            _push_in_pieces(device, group[0], moved)
        else:
            _push_whole(device, group, moved)
        done += sum(file.size_bytes for file in group)
    return changed


def pull_verified(device: Device, remote: str, local: Path, *, progress: ProgressCallback = silent) -> str:
    """Pull one file and check it against the device's own hash of it; returns the sha256 in hex.

    Raises:
        TransferFailed: no such file, or the hashes differ; ``local`` is then what it was.
        DeviceLost, DeviceTimeout, DeviceNotReady: as they say.
    """
    with whole_file(local) as arriving:
        device.pull(remote, arriving, progress=progress)
        sha256 = sha256_of(arriving)
        result = device.shell(["sha256sum", remote], timeout_s=hash_timeout_s(arriving.stat().st_size))
        # A name with a newline or backslash makes sha256sum start its line with a backslash.
        if result.returncode != 0 or result.stdout.lstrip("\\")[:64] != sha256:
            raise TransferFailed(
                f"{remote} arrived with another sha256 than it has on the device.",
                serial=device.serial,
                next_step="Run the same command again.",
            )
    return sha256


def _require_space(device: Device, free_bytes: int | None, size_bytes: int) -> None:
    free = device.free_space() if free_bytes is None else free_bytes
    if free < size_bytes + _SPACE_MARGIN_BYTES:
        raise DeviceFull(
            f"{size_bytes / 1e6:.0f} MB are to be pushed, but only {free / 1e6:.0f} MB are free.",
            serial=device.serial,
            next_step=f"Free some space on the device, for instance old artifacts in {device.workdir}.",
        )


def _together(device: Device, files: Sequence[Delivery]) -> list[list[Delivery]]:
    """Small files in groups that are proven in one call, large ones alone."""
    groups: list[list[Delivery]] = []
    room_bytes = -1
    for file in files:
        if is_resumable(device, file.size_bytes):
            groups.append([file])
            room_bytes = -1
        elif file.size_bytes <= room_bytes and len(groups[-1]) < FILES_PER_CALL:
            groups[-1].append(file)
            room_bytes -= file.size_bytes
        else:
            groups.append([file])
            room_bytes = FOLLOWED_BYTES - file.size_bytes
    return groups


def _push_whole(device: Device, files: Sequence[Delivery], progress: ProgressCallback) -> None:
    """Push files of which nothing stays if one of them fails, but those that are proven."""
    done = 0
    try:
        arrived = []
        for file in files:

            def moved(now: int, size: int, before: int = done) -> None:
                progress(before + now, size)

            with hashed_while_arriving(device, file.part, file.size_bytes) as arriving:
                device.push(file.local, file.part, progress=moved)
            arrived.append(Arrived(file, file.part, arriving.sha256))
            done += file.size_bytes
        finish(device, arrived)
    except BaseException as error:
        # Ctrl-C included: nothing unproven stays.
        _remove(device, [file.part for file in files], error)
        raise


def _push_in_pieces(device: Device, file: Delivery, progress: ProgressCallback) -> None:
    """Push a file of which what has come stays for the next attempt."""
    part = resumable_part(file.remote, file.sha256)
    resumed_at = push_resumably(device, file.local, part, progress=progress)
    try:
        finish(device, [Arrived(file, part)])
    except TransferFailed as error:
        _remove(device, [part], error)
        if resumed_at == 0:
            raise
        # A phone that lost its power may have kept a length but not its bytes: once more, from nothing.
        push_resumably(device, file.local, part, progress=progress)
        finish(device, [Arrived(file, part)])


def _remove(device: Device, remotes: Sequence[str], error: BaseException) -> None:
    if isinstance(error, DeviceTimeout):
        # It does not answer, and waiting once more would not help; the next push overwrites.
        return
    try:
        device.shell(["rm", "-f", *remotes], timeout_s=_CALL_TIMEOUT_S)
    except DeviceError:
        # The device is gone, which the error under way says.
        pass
