"""ABIs in Android's words, what their loader is called, and who compiles for them."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from toolkit.devices.local import host_abi
from toolkit.errors import EngineMismatch, UsageError

# The loader's file name is part of each ABI's calling convention; a bundle starts through it.
LOADERS = {"x86_64": "ld-linux-x86-64.so.2", "arm64-v8a": "ld-linux-aarch64.so.1"}


@dataclass(frozen=True)
class CrossCompiler:
    """A compiler for an ABI that is not the host's.

    Attributes:
        program: its name on PATH.
        package: Debian's package.
        toolchain_file: what CMake is told about it, relative to the runner's sources.
    """

    program: str
    package: str
    toolchain_file: str


CROSS_COMPILERS = {
    "arm64-v8a": CrossCompiler(
        "aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu", "toolchains/aarch64-linux-gnu.cmake"
    )
}


def runnable_host_abi() -> str:
    """ABI of this machine, which the runner is made for.

    Raises:
        EngineMismatch: a machine that the runner is not made for.
    """
    abi = host_abi()
    if platform.system() != "Linux" or abi not in LOADERS:
        raise EngineMismatch(
            f"{platform.system()} on {platform.machine()} cannot run the runner",
            next_step="Use a Linux machine with an x86_64 or aarch64 CPU.",
        )
    return abi


def check_abi(abi: str) -> str:
    """Resolve ``host`` and refuse ABIs that cannot be built for on this machine.

    Raises:
        UsageError: no such ABI.
        EngineMismatch: an ABI that is neither this machine's nor one with a cross compiler.
    """
    host = runnable_host_abi()
    if abi in ("host", host):
        return host
    if abi not in LOADERS:
        raise UsageError(f"Unknown ABI {abi!r}.", next_step=f"Available: host, {', '.join(LOADERS)}")
    if abi not in CROSS_COMPILERS:
        raise EngineMismatch(
            f"a bundle for {abi} is not built on a machine of {host}",
            next_step=f"Build it on a machine of {abi}.",
        )
    return abi
