"""Facts about the machine and the tree that go beside every table."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path

from benchmarks.samples import Frozen


class Machine(Frozen):
    """Where the figures were taken."""

    cpu: str
    cores: int
    ram_bytes: int
    kernel: str
    operating_system: str
    python: str
    commit: str
    uncommitted_changes: bool


def describe_machine(root: Path) -> Machine:
    """Read /proc, /etc/os-release and git."""
    memory = next(line for line in _lines("/proc/meminfo") if line.startswith("MemTotal"))
    release = dict(line.partition("=")[::2] for line in _lines("/etc/os-release"))
    return Machine(
        cpu=describe_cpu(),
        cores=len(os.sched_getaffinity(0)),
        ram_bytes=int(memory.split()[1]) * 1024,
        kernel=platform.release(),
        operating_system=release.get("PRETTY_NAME", platform.system()).strip('"'),
        python=platform.python_version(),
        commit=_git(root, "rev-parse", "HEAD") or "unknown",
        uncommitted_changes=bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
    )


def describe_cpu() -> str:
    """The CPU's name, or its architecture where the kernel does not tell."""
    names = (line.partition(":")[2] for line in _lines("/proc/cpuinfo") if line.startswith("model name"))
    return next(names, platform.machine()).strip()


def cpu_flags() -> frozenset[str]:
    """Instruction sets that the kernel reports."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("flags"):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def cpu_busy(window_s: float = 0.5) -> float:
    """Fraction of all CPUs' time that was not idle over a window: what else is running, when we are not."""
    idle_before, total_before = _cpu_times()
    time.sleep(window_s)
    idle, total = _cpu_times()
    return 1.0 - (idle - idle_before) / max(total - total_before, 1)


def _cpu_times() -> tuple[int, int]:
    fields = [int(word) for word in _lines("/proc/stat")[0].split()[1:9]]
    return fields[3] + fields[4], sum(fields)


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False, timeout=30
    )
    return done.stdout.strip() if done.returncode == 0 else ""
