"""ABIs in Android's words, and what their dynamic loader is called."""

from __future__ import annotations

import platform

from toolkit.errors import EngineMismatch, UsageError

# The loader's file name is part of each ABI's calling convention; a bundle starts through it.
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "arm64-v8a": "ld-linux-aarch64.so.1"}
_FROM_MACHINE = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64-v8a", "arm64": "arm64-v8a"}


def host_abi() -> str:
    """ABI of this machine.

    Raises:
        EngineMismatch: a machine that the runner is not made for.
    """
    machine = platform.machine().lower()
    if platform.system() != "Linux" or machine not in _FROM_MACHINE:
        raise EngineMismatch(
            f"{platform.system()} on {machine} cannot run the runner",
            next_step="Use a Linux machine with an x86_64 or aarch64 CPU.",
        )
    return _FROM_MACHINE[machine]


def check_abi(abi: str) -> str:
    """Resolve ``host`` and refuse ABIs that this version cannot build for.

    Raises:
        UsageError: no such ABI.
        EngineMismatch: an ABI other than this machine's.
    """
    host = host_abi()
    if abi in ("host", host):
        return host
    if abi not in LOADERS:
        raise UsageError(f"Unknown ABI {abi!r}.", next_step=f"Available: host, {', '.join(LOADERS)}")
    raise EngineMismatch(
        f"a bundle for {abi} is not built yet; this version builds the host's ABI only ({host})",
        next_step=f"Profile on the host or on a virtual phone ({host}); {abi} comes with a later release.",
    )
