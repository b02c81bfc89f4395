"""Runs a phone of another ABI: qemu's user emulation, known to the kernel inside the phone's namespace only.

The kernel's binfmt_misc starts an interpreter for programs that it cannot run itself. Since Linux 6.7 a user
namespace has a list of its own, so that nothing of the machine changes and no root is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

from toolkit.devices.virtual.busybox import is_static_elf
from toolkit.devices.virtual.sandbox import mount
from toolkit.errors import VirtualPhoneFailed

# Debian 12 and older, then Debian 13 and newer, where the plain one is static.
_PROGRAMS = {"arm64-v8a": ("qemu-aarch64-static", "qemu-aarch64")}
EMULATED_ABIS = tuple(_PROGRAMS)
_INSTALL = "Install Debian's package qemu-user-static (apt-get install qemu-user-static)."
# The first 20 bytes of an ELF program or library for arm64, and which of their bits count.
_MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
_MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"
# F: the interpreter is opened now, because the phone's root does not hold it. P: programs keep their own
# argv[0], by which busybox knows what it is to do.
_FLAGS = "FP"
# The whole machine's user namespace maps every user.
_EVERY_USER = 4294967295


def find_emulator(abi: str) -> Path:
    """Return the qemu that runs programs of ``abi``.

    Raises:
        VirtualPhoneFailed: no static qemu is installed for it; names the package.
    """
    for name in _PROGRAMS.get(abi, ()):
        found = shutil.which(name)
        if found and is_static_elf(Path(found)):
            return Path(found)
    raise VirtualPhoneFailed(f"No static qemu for {abi} is on PATH.", next_step=_INSTALL)


def cpu_model(features: str) -> str:
    """The processor that qemu emulates for these features of /proc/cpuinfo."""
    return "cortex-a76" if "asimddp" in features.split() else "cortex-a53"


def let_kernel_run(emulator: Path, root: Path) -> None:
    """Make programs for arm64 start in ``root``; call it inside the namespaces, when /proc is mounted there.

    Raises:
        VirtualPhoneFailed: neither this namespace nor the machine can have them started.
    """
    if _maps_every_user():
        raise VirtualPhoneFailed(
            "Refused to register an emulator for the whole machine.",
            next_step="This is a fault of the toolkit: please report it.",
        )
    lists = root / "proc" / "sys" / "fs" / "binfmt_misc"
    entry = f":slm-arm64:M::{_MAGIC}:{_MASK}:{emulator}:{_FLAGS}"
    try:
        mount("binfmt_misc", lists, "binfmt_misc", 0)
        (lists / "register").write_text(entry, encoding="ascii")
    except OSError:
        # Older than Linux 6.7. Some machines have qemu registered for all their users, which serves as well.
        pass
    if not _starts_programs(root):
        raise VirtualPhoneFailed(
            "This kernel starts no arm64 programs: it is older than Linux 6.7, or has no binfmt_misc.",
            next_step="Take a newer kernel, or have qemu registered for the whole machine with flag F "
            "(Debian 12: apt-get install qemu-user-static binfmt-support).",
        )


def _starts_programs(root: Path) -> bool:
    try:
        done = subprocess.run(
            ["/system/bin/busybox", "true"],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            # Not the program chroot: it is in /usr/sbin, which is on few users' PATH.
            preexec_fn=partial(os.chroot, root),
        )
    except OSError:
        return False
    return done.returncode == 0


def _maps_every_user() -> bool:
    first, _, count = map(int, Path("/proc/self/uid_map").read_text(encoding="ascii").split()[:3])
    return (first, count) == (0, _EVERY_USER)
