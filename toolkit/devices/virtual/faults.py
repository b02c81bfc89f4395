"""What can go wrong with a virtual phone, on purpose."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Literal

AuthPolicy = Literal["none", "accept", "late", "refuse"]


@dataclass(frozen=True)
class Faults:
    """Misbehaviour to inject; everything off by default. Bytes are counted in both directions.

    Attributes:
        auth: ask for no key, accept a new key at once, accept it ``late``, or never.
        auth_delay_s: how late "late" is.
        die_after_bytes: the phone's power goes.
        freeze_after_bytes: the phone stops answering but keeps its connections.
        cut_after_bytes: the connection breaks, once; the phone lives on.
        space_bytes: size of /data, which is then kept in memory.
    """

    auth: AuthPolicy = "none"
    auth_delay_s: float = 1.0
    die_after_bytes: int | None = None
    freeze_after_bytes: int | None = None
    cut_after_bytes: int | None = None
    space_bytes: int | None = None


class ConnectionCut(Exception):
    """The injected cut of a connection."""


class FaultClock:
    """Counts the phone's traffic and strikes at the byte offset asked for."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._moved = 0
        self._cut_done = False

    def move(self, count: int) -> int:
        """Account for ``count`` bytes about to move; returns how many of them may, fewer only when cut."""
        before, self._moved = self._moved, self._moved + count
        faults = self._faults
        if faults.die_after_bytes is not None and self._moved > faults.die_after_bytes:
            os._exit(9)
        if faults.freeze_after_bytes is not None and before <= faults.freeze_after_bytes < self._moved:
            os.kill(os.getpid(), signal.SIGSTOP)
        if faults.cut_after_bytes is not None and not self._cut_done and self._moved > faults.cut_after_bytes:
            self._cut_done = True
            return max(faults.cut_after_bytes - before, 0)
        return count
