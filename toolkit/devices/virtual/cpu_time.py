"""The virtual phone's /proc/stat: counters that run as busily as the phone's conditions say."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

_PERIOD_S = 0.1
_TICKS_PER_SECOND = 100


async def keep_cpu_time(stat: Path, conditions: Path, cores: int) -> None:
    """Advance the counters in ``stat`` for ever, by the ``cpu_busy`` fraction in ``conditions``.

    The file is overwritten in place, because replacing it would lose the mount over /proc/stat. Counters
    only grow, so that no old tail remains behind the new text.
    """
    busy_ticks = idle_ticks = 0.0
    last_s = time.monotonic()
    descriptor = os.open(stat, os.O_WRONLY | os.O_TRUNC)
    while True:
        os.pwrite(descriptor, stat_text(int(busy_ticks), int(idle_ticks), cores).encode(), 0)
        await asyncio.sleep(_PERIOD_S)
        now_s = time.monotonic()
        ticks = (now_s - last_s) * _TICKS_PER_SECOND
        last_s = now_s
        busy = float(json.loads(conditions.read_text(encoding="utf-8"))["cpu_busy"])
        busy_ticks += ticks * busy
        idle_ticks += ticks * (1 - busy)


def stat_text(busy_ticks: int, idle_ticks: int, cores: int) -> str:
    """/proc/stat of a machine whose cores all did the same.

    Args:
        busy_ticks: hundredths of a second that each core worked.
        idle_ticks: hundredths of a second that each core was idle.
        cores: their number.
    """
    rows = [("cpu ", cores), *((f"cpu{number}", 1) for number in range(cores))]
    lines = [f"{name} {busy_ticks * n} 0 0 {idle_ticks * n} 0 0 0 0 0 0\n" for name, n in rows]
    return "".join(lines) + "btime 0\nprocesses 1\n"
