"""Pushing a large file so that a cut costs one piece of it, not all of it.

adb has no resume, and adbd removes what it has when the connection breaks. So a large file travels in pieces:
each is pushed beside the growing file, by the device's own fast way, and appended to it there. The growing
file is named after the content's hash; whoever finds one may go on from its length, because the whole is
hashed on the device before it gets its final name.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO

from toolkit.devices.base import Device
from toolkit.errors import DeviceError, DeviceFull, DeviceLost, DeviceTimeout, TransferFailed
from toolkit.progress import ProgressCallback

_CALL_TIMEOUT_S = 15.0
# Appending reads and writes the piece on the device's own storage.
_SLOWEST_APPEND_BYTES_PER_SECOND = 10e6
_COPY_BYTES = 4 << 20
_NAME_HASH_LENGTH = 16

# Arguments: REMOTE PART. Removes what earlier attempts at other contents left, and prints PART's length.
_BEGIN = """
mkdir -p "${1%/*}"
for other in "$1".*.part "$1".*.part.next; do
  [ "$other" = "$2" ] || rm -f "$other"
done
stat -c %s "$2" 2>/dev/null || echo 0
"""
# Arguments: PART LENGTH. Cuts PART to this length and prints it, or 0 where that cannot be done. Lengths are
# calculated on the host: Android's shell has 32 bits for a number.
_CUT = """
truncate -s "$2" "$1" && [ "$(stat -c %s "$1")" = "$2" ] && echo "$2" || { rm -f "$1"; echo 0; }
"""
# Arguments: PART PIECE OFFSET.
_APPEND = """
if [ "$3" = 0 ]; then mv -f "$2" "$1"; exit; fi
[ "$(stat -c %s "$1")" = "$3" ] && cat "$2" >>"$1" && rm -f "$2"
"""


def piece_bytes(device: Device, size_bytes: int) -> int:
    """Space that a file needs on the device while it travels, beside its own."""
    return (device.push_piece_bytes or 0) if is_resumable(device, size_bytes) else 0


def is_resumable(device: Device, size_bytes: int) -> bool:
    """Whether a file is worth pieces: a cut of one of up to two pieces costs little more than a piece."""
    return device.push_piece_bytes is not None and size_bytes > 2 * device.push_piece_bytes


def resumable_part(remote: str, sha256: str) -> str:
    """Where a file with this content grows."""
    return f"{remote}.{sha256[:_NAME_HASH_LENGTH]}.part"


def push_resumably(device: Device, local: Path, part: str, *, progress: ProgressCallback) -> int:
    """Push what ``part`` lacks to be as long as the local file.

    Returns:
        The offset that it went on from, 0 when nothing was there.

    Raises:
        DeviceError: as ``Device.push``; the pieces that have arrived stay for the next attempt.
    """
    size = local.stat().st_size
    piece_size = device.push_piece_bytes
    assert piece_size is not None
    resumed_at = offset = _begin(device, part, piece_size, size)
    piece = f"{part}.next"
    with tempfile.TemporaryDirectory(prefix="slm-push-") as folder, local.open("rb") as file:
        file.seek(offset)
        while offset < size:
            cut = Path(folder) / local.name
            length = _cut_piece(file, cut, piece_size)

            def moved(now: int, _length: int, before: int = offset) -> None:
                progress(before + now, size)

            try:
                device.push(cut, piece, progress=moved)
                _append(device, part, piece, offset, length)
            except BaseException as error:
                _drop(device, piece, error)
                raise
            offset += length
    return resumed_at


def _begin(device: Device, part: str, piece_size: int, size: int) -> int:
    """Length of what has come already, in whole pieces: an append may have been cut short itself."""
    remote = part.removesuffix(".part")[: -_NAME_HASH_LENGTH - 1]
    length = _length_after(device, [_BEGIN, "slm-begin", remote, part], remote)
    whole = length if length == size else length // piece_size * piece_size
    if whole == length:
        return length
    return _length_after(device, [_CUT, "slm-cut", part, str(whole)], remote)


def _length_after(device: Device, script: list[str], remote: str) -> int:
    result = device.shell(["sh", "-c", *script], timeout_s=_CALL_TIMEOUT_S)
    printed = result.stdout.strip()
    if not printed.isdigit():
        raise TransferFailed(
            f"The device could not prepare {remote}: {result.stderr.strip()[-300:]}",
            serial=device.serial,
            next_step=f"Run it again; `slm doctor --device {device.serial}` says what the device lacks.",
        )
    return int(printed)


def _cut_piece(file: BinaryIO, target: Path, piece_size: int) -> int:
    """Copy the next piece of a file; returns its length."""
    left = piece_size
    with target.open("wb") as piece:
        while left and (data := file.read(min(left, _COPY_BYTES))):
            piece.write(data)
            left -= len(data)
    return piece_size - left


def _append(device: Device, part: str, piece: str, offset: int, length: int) -> None:
    result = device.shell(
        ["sh", "-c", _APPEND, "slm-append", part, piece, str(offset)],
        timeout_s=_CALL_TIMEOUT_S + length / _SLOWEST_APPEND_BYTES_PER_SECOND,
    )
    if result.returncode == 0:
        return
    said = result.stderr.strip()[-300:]
    error = DeviceFull if "no space left" in said.lower() else TransferFailed
    raise error(
        f"A piece of {part} could not be appended: {said or 'no reason given'}.",
        serial=device.serial,
        next_step="Check the free space on the device (slm devices list), then run the same command again.",
    )


def _drop(device: Device, piece: str, error: BaseException) -> None:
    """Remove a piece that did not arrive, as far as the device still answers."""
    if isinstance(error, DeviceTimeout | DeviceLost):
        return
    try:
        device.shell(["rm", "-f", piece], timeout_s=_CALL_TIMEOUT_S)
    except DeviceError:
        pass
