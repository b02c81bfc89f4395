"""What can go wrong with a virtual phone, on purpose."""

from __future__ import annotations

import os
import signal
import sys
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
        cuts_after_bytes: the connection breaks after so many bytes, then again after so many more, and so on;
            the phone lives on. Each cut is a line of its log.
        bytes_per_second: speed of the link, as fast as it goes by default.
        space_bytes: size of /data, which is then kept in memory.
        data: what is not allowed in /data: running files, or writing any.
    """

    auth: AuthPolicy = "none"
    auth_delay_s: float = 1.0
    die_after_bytes: int | None = None
    freeze_after_bytes: int | None = None
    cuts_after_bytes: tuple[int, ...] = ()
    bytes_per_second: float | None = None
    space_bytes: int | None = None
    data: Literal["noexec", "read-only"] | None = None


class ConnectionCut(Exception):
    """The injected cut of a connection."""


class FaultClock:
    """Counts the phone's traffic and strikes at the byte offset asked for."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._moved = 0
        self._cuts = iter(faults.cuts_after_bytes)
        self._next_cut = next(self._cuts, None)

    def move(self, count: int) -> int:
        """Account for ``count`` bytes about to move; returns how many of them may, fewer only when cut."""
        before, self._moved = self._moved, self._moved + count
        faults = self._faults
        if faults.die_after_bytes is not None and self._moved > faults.die_after_bytes:
            os._exit(9)
        if faults.freeze_after_bytes is not None and before <= faults.freeze_after_bytes < self._moved:
            os.kill(os.getpid(), signal.SIGSTOP)
        if self._next_cut is not None and self._moved > self._next_cut:
            at, following = self._next_cut, next(self._cuts, None)
            print(f"cut after {at} bytes", file=sys.stderr, flush=True)
            self._next_cut = None if following is None else at + following
            self._moved = at
            return max(at - before, 0)
        return count

    def delay_s(self, count: int) -> float:
        """How long so many bytes take on the link."""
        speed = self._faults.bytes_per_second
        return count / speed if speed else 0.0
