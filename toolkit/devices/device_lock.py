"""One lock per device across the processes of this host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from toolkit.errors import DeviceBusy
from toolkit.locks import LockHeld, held_or_refused, holder


@contextmanager
def device_lock(folder: Path, serial: str, *, system: str | None = None) -> Iterator[None]:
    """Hold the device's lock while the block runs.

    Args:
        folder: where the lock files are, ``settings.data_dir / "locks"``.
        serial: the device as the user names it.
        system: what runs on it, by which two names of one device share a lock; its serial where unknown.

    Raises:
        DeviceBusy: another process holds it; names that process.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(held_or_refused(_lock_file(folder, serial, system)))
        except LockHeld as held:
            raise DeviceBusy(
                f"Another run holds this device (process {held.holder}).",
                serial=serial,
                next_step="Wait until it has finished, or stop that process.",
            ) from None
        yield


def lock_holder(folder: Path, serial: str, *, system: str | None = None) -> str | None:
    """The process of this host that holds a device's lock; None when none is known to."""
    return holder(_lock_file(folder, serial, system))


def _lock_file(folder: Path, serial: str, system: str | None) -> Path:
    return folder / f"{quote(system or serial, safe='')}.lock"
