"""Hashing a file on the device while it is still arriving, so that proving it costs little time."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from toolkit.devices.base import Device
from toolkit.devices.interrupt import Interrupt, interruptible_by
from toolkit.errors import DeviceError

# A smaller file is hashed faster than one more command is started.
FOLLOWED_BYTES = 16 << 20
# The hasher waits for the slowest transfer that is put up with.
_SLOWEST_BYTES_PER_SECOND = 500_000.0
_TIMEOUT_S = 60.0

# Arguments: PART SIZE. The file stays open, so that each cat goes on where the one before ended, and the one
# after the whole length was seen reads all that is left. After a minute without growth the host is gone.
_FOLLOW = """
before=0 looks=0
pause() {
  looks=$((looks + 1))
  [ "$looks" -lt 3000 ] && sleep 0.02 || exit 1
}
until [ -f "$1" ]; do pause; done
exec 3<"$1" || exit 1
while length=$(stat -c %s "$1") && cat <&3 && [ "$length" -lt "$2" ]; do
  # Starting these programs costs more than reading what little has come since.
  if [ $((length - before)) -lt 1000000 ]; then pause; else looks=0 before=$length; fi
done | sha256sum
"""


@dataclass
class Arriving:
    """What is known of a file once it has arrived.

    Attributes:
        sha256: hash of the bytes read meanwhile, in hex; None when it has to be hashed afterwards.
    """

    sha256: str | None = None


@contextmanager
def hashed_while_arriving(device: Device, part: str, size_bytes: int) -> Iterator[Arriving]:
    """Hash a file while the block pushes it; the hash is there when the block has ended.

    The file must not be there before. Whatever goes wrong with the hashing costs its speed only; an error of
    the block ends it.
    """
    arriving = Arriving()
    if device.push_piece_bytes is None or size_bytes < FOLLOWED_BYTES:
        yield arriving
        return
    interrupt = Interrupt()

    def follow() -> str | None:
        with interruptible_by(interrupt):
            try:
                result = device.shell(
                    ["sh", "-c", _FOLLOW, "slm-follow", part, str(size_bytes)],
                    timeout_s=_TIMEOUT_S + size_bytes / _SLOWEST_BYTES_PER_SECOND,
                )
            except (DeviceError, KeyboardInterrupt):
                return None
            printed = result.stdout.split()
            return printed[0] if result.returncode == 0 and printed and len(printed[0]) == 64 else None

    pool = ThreadPoolExecutor(1, thread_name_prefix="hash")
    hashing = pool.submit(follow)
    try:
        yield arriving
        arriving.sha256 = hashing.result()
    except BaseException:
        interrupt.request()
        raise
    finally:
        # After an error nobody waits for a device that may not answer.
        pool.shutdown(wait=False)
