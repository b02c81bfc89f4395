"""How long to wait for a device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """Timeouts of a device's calls.

    Attributes:
        call_s: a short command: stat, df, getprop.
        stall_s: a transfer without a byte of growth counts as a frozen device.
        slowest_bytes_per_second: a transfer slower than this over its whole length is given up.
        poll_s: seconds between two looks at a transfer's size.
    """

    call_s: float = 15.0
    stall_s: float = 20.0
    slowest_bytes_per_second: float = 500_000.0
    poll_s: float = 1.0

    def transfer_s(self, size_bytes: int) -> float:
        """Limit for a whole transfer."""
        return self.stall_s + size_bytes / self.slowest_bytes_per_second
