"""Notices a transfer that has stopped growing: adb itself waits for a frozen phone for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

from toolkit.errors import DeviceError, DeviceTimeout


class StallWatch:
    """Looks at a transfer's size now and then.

    Args:
        size_now: bytes that have arrived, or None when that is unknown; may raise a DeviceError.
        serial: the phone, for the error.
        doing: what is going on, for the error: "pushing model.bin".
        stall_s: no change for this long is an error.
        on_size: told each known size.
    """

    def __init__(
        self,
        size_now: Callable[[], int | None],
        *,
        serial: str,
        doing: str,
        stall_s: float,
        on_size: Callable[[int], None],
    ) -> None:
        self._size_now = size_now
        self._serial = serial
        self._doing = doing
        self._stall_s = stall_s
        self._on_size = on_size
        self._last_size: int | None = None
        self._last_change = time.monotonic()

    def look(self) -> None:
        """Look once.

        Raises:
            DeviceTimeout: the size has not changed for ``stall_s``.
        """
        try:
            size = self._size_now()
        except DeviceError:
            # A phone that does not answer is what this is about; if it is gone, the transfer itself says so.
            size = None
        if size is not None and size != self._last_size:
            self._last_size = size
            self._last_change = time.monotonic()
            self._on_size(size)
        elif time.monotonic() - self._last_change >= self._stall_s:
            raise DeviceTimeout(
                f"Frozen while {self._doing}: no progress for {self._stall_s:.0f} s.",
                serial=self._serial,
                next_step="Unlock the phone, check cable or network, then run the same command again.",
            )
