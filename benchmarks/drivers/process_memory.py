"""Memory of the current process, read from /proc."""

from __future__ import annotations

from pathlib import Path


def status_bytes(field: str) -> int:
    """A kB field of /proc/self/status, e.g. VmRSS or VmHWM, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise KeyError(f"no {field} in /proc/self/status")
