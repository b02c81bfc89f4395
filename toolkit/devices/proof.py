"""What the device itself says about files: which it holds already, and whether those that came are right.

A receipt beside each file, ``.NAME.sha256-receipt``, remembers its hash together with its size, modification
and change time, so that the next look at the same file is one shell call without hashing: a receipt that does
not fit the file it stands beside counts for nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.base import Device
from toolkit.devices.conditions import parse_df_free_bytes
from toolkit.errors import TransferFailed

_CALL_TIMEOUT_S = 15.0
# A slow phone hashes several times as fast; the limit is for one that hangs.
_SLOWEST_HASH_BYTES_PER_SECOND = 20e6
# adb passes a command line of at most 64 KiB to its server.
FILES_PER_CALL = 48

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
# Arguments: PATH PART RECEIPT SHA256 SIZE HASHED for each file, the last being the hash of what was read as
# it arrived, or nothing. Prints "done" for each; at the first that is wrong, in what it is.
# The old receipt goes first: there is never one for other bytes.
_FINISH_SCRIPT = f"""
while [ $# -ge 6 ]; do
  [ "$(stat -c %s "$2")" = "$5" ] || {{ echo "of another length"; exit 3; }}
  sum=$6
  [ "$sum" = "$4" ] || sum=$(sha256sum < "$2") || exit 1
  [ "${{sum%% *}}" = "$4" ] || {{ echo "with sha256 ${{sum%% *}} instead of $4"; exit 3; }}
  rm -f "$3" && mv -f "$2" "$1" || exit 1
  echo "$4 $({_FINGERPRINT} "$1")" > "$3"
  echo done
  shift 6
done
"""
_NOT_AS_IT_SHOULD_BE = 3


@dataclass(frozen=True)
class Delivery:
    """One file and where it goes.

    Attributes:
        sha256: what it must have there, in hex.
    """

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


@dataclass(frozen=True)
class Arrived:
    """A file that has come, under another name than its own.

    Attributes:
        part: where it is.
        sha256: of what was read as it came, in hex; None when it has to be hashed.
    """

    file: Delivery
    part: str
    sha256: str | None = None


def check(device: Device, files: Sequence[Delivery]) -> tuple[list[bool], int | None]:
    """Whether the device holds each file already, and the bytes free there, if it says so."""
    same: list[bool] = []
    free_bytes = None
    for start in range(0, len(files), FILES_PER_CALL):
        batch = files[start : start + FILES_PER_CALL]
        arguments = [word for f in batch for word in (f.remote, f.receipt, f.sha256, str(f.size_bytes))]
        result = device.shell(
            ["sh", "-c", _CHECK_SCRIPT, "sh", *arguments],
            timeout_s=hash_timeout_s(sum(f.size_bytes for f in batch)),
        )
        *answers, space = result.stdout.split("\n", len(batch))
        if len(answers) != len(batch):
            raise TransferFailed(
                f"The device could not compare files: {result.stderr.strip()[-300:]}",
                serial=device.serial,
                next_step=f"Run it again; `slm doctor --device {device.serial}` says what the device lacks.",
            )
        same += [answer == "same" for answer in answers]
        free_bytes = parse_df_free_bytes(space) or free_bytes
    return same, free_bytes


def finish(device: Device, arrived: Sequence[Arrived]) -> None:
    """Prove files that have arrived, and give them their names.

    Raises:
        TransferFailed: a file is not what it should be; those before it have their names.
        DeviceError: as ``Device.shell``.
    """
    arguments = [
        word
        for one in arrived
        for word in (
            one.file.remote,
            one.part,
            one.file.receipt,
            one.file.sha256,
            str(one.file.size_bytes),
            one.sha256 or "",
        )
    ]
    result = device.shell(
        ["sh", "-c", _FINISH_SCRIPT, "sh", *arguments],
        timeout_s=hash_timeout_s(sum(one.file.size_bytes for one in arrived)),
    )
    if result.returncode == 0:
        return
    printed = result.stdout.splitlines() or ["damaged"]
    failed = arrived[min(printed.count("done"), len(arrived) - 1)].file
    if result.returncode == _NOT_AS_IT_SHOULD_BE:
        raise TransferFailed(
            f"{failed.local.name} arrived {printed[-1]}.",
            serial=device.serial,
            next_step="Check that the local file is intact, then run the same command again.",
        )
    raise TransferFailed(
        f"{failed.remote} could not be put in place: {result.stderr.strip()[-300:]}",
        serial=device.serial,
        next_step="Run the same command again.",
    )


def hash_timeout_s(size_bytes: int) -> float:
    """How long hashing so many bytes may take on a device."""
    return _CALL_TIMEOUT_S + size_bytes / _SLOWEST_HASH_BYTES_PER_SECOND
