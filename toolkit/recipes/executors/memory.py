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
    group = group_available_bytes()
    if group is not None:
        free.append(group)
    return min(free) if free else None


def group_available_bytes(folder: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a control group can still take; None without a limit.

    What it uses includes files that were read: their pages are given back when somebody needs them.
    """
    limit, used = (_number(folder / f"memory.{name}") for name in ("max", "current"))
    if limit is None or used is None:
        return None
    return max(0, min(limit, limit - used + _reclaimable(folder / "memory.stat")))


def held_bytes(pid: int) -> int | None:
    """What a process holds and cannot give back: its own pages, in memory and in swap; mapped files not."""
    fields = _fields(Path(f"/proc/{pid}/status"))
    return sum(fields.get(name, 0) for name in _PAGE_FIELDS) if fields else None


def oom_kills() -> int | None:
    """How often the kernel has killed a process of this machine because memory ran out."""
    try:
        found = re.search(
            r"^oom_kill ([0-9]+)$", Path("/proc/vmstat").read_text(encoding="utf-8"), re.MULTILINE
        )
    except OSError:
        return None
    return int(found[1]) if found else None


def _fields(path: Path) -> dict[str, int]:
    try:
        return {
            name: int(value) * 1024 for name, value in _KILOBYTES.findall(path.read_text(encoding="utf-8"))
        }
    except OSError:
        return {}


def _reclaimable(path: Path) -> int:
    try:
        found = re.search(r"^inactive_file ([0-9]+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
