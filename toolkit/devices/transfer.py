"""Files that arrive whole and proven, or not at all; and files that need not travel again.

A file goes to ``NAME.part`` (a large one in pieces, see :mod:`toolkit.devices.resume`), is hashed on the
device, and renamed. A receipt beside it,
``.NAME.sha256-receipt``, remembers the hash together with the file's size, modification and change time,
so that the next push of the same file costs one shell call and no hashing: a receipt that does not fit
the file it stands beside counts for nothing.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from toolkit.devices.arrival import hashed_while_arriving
from toolkit.devices.base import Device
from toolkit.devices.conditions import parse_df_free_bytes
from toolkit.devices.resume import is_resumable, piece_bytes, push_resumably, resumable_part
from toolkit.errors import DeviceError, DeviceFull, DeviceTimeout, TransferFailed
from toolkit.progress import ProgressCallback, silent

PushOutcome = Literal["pushed", "unchanged"]

_CALL_TIMEOUT_S = 15.0
# A slow phone hashes several times as fast; the limit is for one that hangs.
_SLOWEST_HASH_BYTES_PER_SECOND = 20e6
# adb passes a command line of at most 64 KiB to its server.
_FILES_PER_CALL = 48
# File systems near their end fail in odd ways; this much stays free.
_SPACE_MARGIN_BYTES = 16 << 20

# What the device knows about a file that changes whenever its bytes may have.
_FINGERPRINT = "stat -c '%s %Y %Z'"

# Arguments: PATH RECEIPT SHA256 SIZE for each file. Prints "same" or "differs" for each, in order, and then
# the free space if some differ.
_CHECK_SCRIPT = f"""
lacking=
while [ $# -ge 4 ]; do
  answer=differs
  if [ -f "$1" ] && [ "$(stat -c %s "$1")" = "$4" ]; then
    now=$({_FINGERPRINT} "$1")
    receipt=$(cat "$2" 2>/dev/null)
    if [ "$receipt" = "$3 $now" ]; then
      answer=same
    # A receipt that fits proves other contents as well: they need no hashing to differ.
    elif [ "${{receipt#* }}" != "$now" ]; then
      sum=$(sha256sum < "$1")
      if [ "${{sum%% *}}" = "$3" ]; then
        answer=same
        echo "$3 $now" > "$2"
      fi
    fi
  fi
  if [ $answer = differs ]; then
    lacking=$1
    # What is read while it arrives must not be what an earlier push left.
    rm -f "$1.part"
  fi
  echo $answer
  shift 4
done
[ -n "$lacking" ] || exit 0
folder=${{lacking%/*}}
while [ ! -d "${{folder:-/}}" ]; do folder=${{folder%/*}}; done
df -k "${{folder:-/}}"
"""
# Arguments: PATH PART RECEIPT SHA256 SIZE [HASHED], the last being the hash of what was read as it arrived.
# The old receipt goes first: there is never one for other bytes. The old file goes before the new one comes,
# because ext4 writes a file to its disk at once when it takes another's place, which bare adb push avoids.
_FINISH_SCRIPT = f"""
[ "$(stat -c %s "$2")" = "$5" ] || {{ echo "another length"; exit 3; }}
sum=$6
[ "$sum" = "$4" ] || sum=$(sha256sum < "$2") || exit 1
if [ "${{sum%% *}}" != "$4" ]; then
  echo "${{sum%% *}}"
  exit 3
fi
rm -f "$3" "$1" && mv -f "$2" "$1" || exit 1
echo "$4 $({_FINGERPRINT} "$1")" > "$3"
"""
_WRONG_HASH = 3


class HashedFile(Protocol):
    """One entry of a manifest's file list: path relative to the folder, hash in hex, size in bytes."""

    @property
    def path(self) -> str: ...  # noqa: D102

    @property
    def sha256(self) -> str: ...  # noqa: D102

    @property
    def size_bytes(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class _Delivery:
    """One file and where it goes."""

    local: Path
    remote: str
    sha256: str
    size_bytes: int

    @property
    def part(self) -> str:
        """Where it is until it is proven."""
        return f"{self.remote}.part"

    @property
    def receipt(self) -> str:
        """Where its hash is remembered."""
        folder, name = posixpath.split(self.remote)
        return posixpath.join(folder, f".{name}.sha256-receipt")


def push_verified(
    device: Device, local: Path, remote: str, *, sha256: str, progress: ProgressCallback = silent
) -> PushOutcome:
    """Push one file unless the device holds it already; see ``push_folder_verified``."""
    delivery = _Delivery(local, remote, sha256, local.stat().st_size)
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
        entry.path: _Delivery(
            folder / entry.path, posixpath.join(target, entry.path), entry.sha256, entry.size_bytes
        )
        for entry in files
    }
    travelled = _deliver(device, list(deliveries.values()), progress)
    return [path for path, delivery in deliveries.items() if delivery in travelled]


def _deliver(device: Device, deliveries: Sequence[_Delivery], progress: ProgressCallback) -> list[_Delivery]:
    """Push what the device lacks; returns that."""
    same, free_bytes = _check(device, deliveries)
    changed = [delivery for delivery, is_same in zip(deliveries, same, strict=True) if not is_same]
    total = sum(delivery.size_bytes for delivery in changed)
    if changed:
        pieces = [piece_bytes(device, delivery.size_bytes) for delivery in changed]
        _require_space(device, free_bytes, total + max(pieces))
    done = 0
    for delivery in changed:

        def moved(now: int, _size: int, before: int = done) -> None:
            progress(before + now, total)

        _push_one(device, delivery, moved)
        done += delivery.size_bytes
    return changed


def pull_verified(device: Device, remote: str, local: Path, *, progress: ProgressCallback = silent) -> str:
    """Pull one file and check it against the device's own hash of it; returns the sha256 in hex.

    Raises:
        TransferFailed: no such file, or the hashes differ; ``local`` is then not there.
        DeviceLost, DeviceTimeout, DeviceNotReady: as they say.
    """
    arriving = local.with_name(f"{local.name}.unverified")
    try:
        device.pull(remote, arriving, progress=progress)
        with arriving.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        result = device.shell(["sha256sum", remote], timeout_s=_hash_timeout_s(arriving.stat().st_size))
        # A name with a newline or backslash makes sha256sum start its line with a backslash.
        if result.returncode != 0 or result.stdout.lstrip("\\")[:64] != sha256:
            raise TransferFailed(
                f"{remote} arrived with another sha256 than it has on the device.",
                serial=device.serial,
                next_step="Run the same command again.",
            )
        arriving.replace(local)
    finally:
        arriving.unlink(missing_ok=True)
    return sha256


def _check(device: Device, files: Sequence[_Delivery]) -> tuple[list[bool], int | None]:
    """Whether the device holds each file already, and the bytes free there, if it says so."""
    same: list[bool] = []
    free_bytes = None
    for start in range(0, len(files), _FILES_PER_CALL):
        batch = files[start : start + _FILES_PER_CALL]
        arguments = [word for f in batch for word in (f.remote, f.receipt, f.sha256, str(f.size_bytes))]
        result = device.shell(
            ["sh", "-c", _CHECK_SCRIPT, "sh", *arguments],
            timeout_s=_hash_timeout_s(sum(f.size_bytes for f in batch)),
        )
        *answers, space = result.stdout.split("\n", len(batch))
        if len(answers) != len(batch):
            raise TransferFailed(
                f"The device could not compare files: {result.stderr.strip()[-300:]}", serial=device.serial
            )
        same += [answer == "same" for answer in answers]
        free_bytes = parse_df_free_bytes(space) or free_bytes
    return same, free_bytes


def _require_space(device: Device, free_bytes: int | None, size_bytes: int) -> None:
    free = device.free_space() if free_bytes is None else free_bytes
    if free < size_bytes + _SPACE_MARGIN_BYTES:
        raise DeviceFull(
            f"{size_bytes / 1e6:.0f} MB are to be pushed, but only {free / 1e6:.0f} MB are free.",
            serial=device.serial,
            next_step=f"Free some space on the device, for instance old artifacts in {device.workdir}.",
        )


def _push_one(device: Device, file: _Delivery, progress: ProgressCallback) -> None:
    if not is_resumable(device, file.size_bytes):
        try:
            with hashed_while_arriving(device, file.part, file.size_bytes) as arriving:
                device.push(file.local, file.part, progress=progress)
            _finish(device, file, file.part, arriving.sha256)
        except BaseException as error:
            # Ctrl-C included: nothing unproven stays.
            _remove(device, file.part, error)
            raise
        return
    part = resumable_part(file.remote, file.sha256)
    resumed_at = push_resumably(device, file.local, part, progress=progress)
    try:
        _finish(device, file, part)
    except TransferFailed as error:
        _remove(device, part, error)
        if resumed_at == 0:
            raise
        # A phone that lost its power may have kept a length but not its bytes: once more, from nothing.
        push_resumably(device, file.local, part, progress=progress)
        _finish(device, file, part)


def _finish(device: Device, file: _Delivery, part: str, hashed: str | None = None) -> None:
    """Prove what has arrived, by its hash if that is known already, and give it its name."""
    names = [file.remote, part, file.receipt, file.sha256, str(file.size_bytes)]
    result = device.shell(
        ["sh", "-c", _FINISH_SCRIPT, "sh", *names, *([hashed] if hashed else [])],
        timeout_s=_hash_timeout_s(file.size_bytes),
    )
    if result.returncode == _WRONG_HASH:
        raise TransferFailed(
            f"{file.local.name} arrived with sha256 {result.stdout.strip()[:64]} instead of {file.sha256}.",
            serial=device.serial,
            next_step="Check that the local file is intact, then run the same command again.",
        )
    if result.returncode != 0:
        raise TransferFailed(
            f"{file.remote} could not be put in place: {result.stderr.strip()[-300:]}",
            serial=device.serial,
            next_step="Run the same command again.",
        )


def _remove(device: Device, remote: str, error: BaseException) -> None:
    if isinstance(error, DeviceTimeout):
        # It does not answer, and waiting once more would not help; the next push overwrites.
        return
    try:
        device.shell(["rm", "-f", remote], timeout_s=_CALL_TIMEOUT_S)
    except DeviceError:
        # The device is gone, which the error under way says.
        pass


def _hash_timeout_s(size_bytes: int) -> float:
    return _CALL_TIMEOUT_S + size_bytes / _SLOWEST_HASH_BYTES_PER_SECOND
