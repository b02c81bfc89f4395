"""One lock per device across the processes of this host."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from toolkit.errors import DeviceBusy


@contextmanager
def device_lock(folder: Path, serial: str) -> Iterator[None]:
    """Hold the device's lock while the block runs.

    The kernel drops the lock when the holder dies, so no stale lock can remain; the file itself stays,
    because removing it would let two processes lock two files of the same name.

    Args:
        folder: where the lock files are, ``settings.data_dir / "locks"``.
        serial: the device.

    Raises:
        DeviceBusy: another process holds it; names that process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # "a+" so that a second process can read the holder's pid without wiping it.
    with (folder / f"{quote(serial, safe='')}.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip()
            raise DeviceBusy(
                f"Another run holds this device (process {holder or 'unknown'}).",
                serial=serial,
                next_step="Wait until it has finished, or stop that process.",
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
