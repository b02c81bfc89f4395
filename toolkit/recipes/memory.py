"""Memory of this machine and of one process, as Linux tells it; None where it does not."""

from __future__ import annotations

import re
from pathlib import Path

_KILOBYTES = re.compile(r"^(\w+):\s+([0-9]+) kB$", re.MULTILINE)
_PAGE_FIELDS = ("RssAnon", "RssShmem", "VmSwap")


def available_bytes() -> int | None:
    """What can be taken without swapping: of the machine, and of the control group when that is less."""
    fields = _fields(Path("/proc/meminfo"))
    free = [fields["MemAvailable"]] if "MemAvailable" in fields else []
    limit, used = (_number(Path(f"/sys/fs/cgroup/memory.{name}")) for name in ("max", "current"))
    if limit is not None and used is not None:
        free.append(max(0, limit - used))
    return min(free) if free else None


def held_bytes(pid: int) -> int | None:
    """What a process holds and cannot give back: its own pages, in memory and in swap; mapped files not."""
    fields = _fields(Path(f"/proc/{pid}/status"))
    return sum(fields.get(name, 0) for name in _PAGE_FIELDS) if fields else None


def oom_kills() -> int | None:
    """How often the kernel has killed a process of this machine because memory ran out."""
    try:
        found = re.search(r"^oom_kill ([0-9]+)$", Path("/proc/vmstat").read_text(), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


def _fields(path: Path) -> dict[str, int]:
    try:
        return {name: int(value) * 1024 for name, value in _KILOBYTES.findall(path.read_text())}
    except OSError:
        return {}


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
