"""Properties, memory and CPU as Linux and Android tell them, read by pure functions.

Every function takes captured text and gives None where the layout is not the one it knows: a wrong zero
would pass a gate and say that it did, an unknown says that nobody looked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PROPERTY_BEGINS = re.compile(r"^(?=\[[^\]\n]+\]: \[)", re.MULTILINE)
# A value may have several lines and brackets of its own: it ends at the last line's end that closes one.
_PROPERTY = re.compile(r"\[(?P<key>[^\]\n]+)\]: \[(?P<value>.*)\]$", re.MULTILINE | re.DOTALL)
_DF_ROW = re.compile(r"(\d+)\s+(\d+)\s+(\d+)\s+(\d+%|-)\s+(\S.*)$")


def parse_getprop(text: str) -> dict[str, str]:
    """Read ``getprop`` without arguments: ``[key]: [value]`` for each. Empty values are left out."""
    matches = map(_PROPERTY.match, _PROPERTY_BEGINS.split(text.replace("\r\n", "\n")))
    return {m["key"]: m["value"] for m in matches if m and m["value"]}


def parse_du_bytes(text: str) -> int | None:
    """Read the total of ``du -sk``."""
    words = text.split(maxsplit=1)
    return int(words[0]) * 1024 if words and words[0].isdecimal() else None


def parse_df_free_bytes(text: str) -> int | None:
    """Read the free bytes from ``df -k PATH`` (toybox, busybox, coreutils; long device names wrap)."""
    header, _, body = text.strip().partition("\n")
    # Old toolbox prints "25.9G" under "Size"; and a block size that is not 1 KiB would be a wrong figure.
    if not re.search(r"\b(1K|1024)-blocks\b", header):
        return None
    row = _DF_ROW.search(" ".join(body.split()))
    return int(row[3]) * 1024 if row else None


def parse_meminfo_bytes(text: str, field: str) -> int | None:
    """Read one field of ``/proc/meminfo``, e.g. ``MemTotal`` or ``MemAvailable``, in bytes."""
    match = re.search(rf"^{re.escape(field)}:\s+(\d+) kB\s*$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def parse_page_bytes(text: str) -> int | None:
    """Read ``getconf PAGE_SIZE``; a page is a power of two."""
    size = int(text) if re.fullmatch(r"[0-9]{4,6}", text.strip()) else 0
    return size if size >= 4096 and size & (size - 1) == 0 else None


@dataclass(frozen=True)
class CpuTimes:
    """Total and idle clock ticks since boot, all CPUs together."""

    total: int
    idle: int


def parse_cpu_times(text: str) -> CpuTimes | None:
    """Read the first line of ``/proc/stat``."""
    match = re.search(r"^cpu((?:[ \t]+[0-9]+){4,10})[ \t\r]*$", text, re.MULTILINE)
    if not match:
        return None
    # user nice system idle iowait irq softirq steal; guest time is already inside user.
    ticks = [int(word) for word in match[1].split()][:8]
    return CpuTimes(total=sum(ticks), idle=ticks[3] + (ticks[4] if len(ticks) > 4 else 0))


def cpu_busy(before: CpuTimes | None, after: CpuTimes | None) -> float | None:
    """Fraction 0..1 of CPU time spent working between two readings."""
    if before is None or after is None or after.total <= before.total:
        return None
    idle = max(after.idle - before.idle, 0) / (after.total - before.total)
    return min(max(1.0 - idle, 0.0), 1.0)
