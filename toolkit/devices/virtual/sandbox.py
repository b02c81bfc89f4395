"""The virtual phone's sandbox: mount and pid namespaces of its own, and a root that it cannot leave.

Nothing of it exists outside: the kernel removes mounts and processes with the namespace's first process.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

from toolkit.devices.virtual.faults import Faults
from toolkit.errors import VirtualPhoneFailed

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_RELATIME = 4096, 16384, 1 << 21
_HARMLESS = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
_DEVICES = ("null", "zero", "full", "random", "urandom")


def sandbox_command(*, user_namespace: bool = False) -> list[str]:
    """Return the command prefix that starts a program in namespaces of its own.

    Killing that command kills everything inside, as pulling a phone's battery does. Without root a user
    namespace is added.

    Args:
        user_namespace: add one also as root, for what is private to user namespaces.

    Raises:
        VirtualPhoneFailed: no ``unshare``, or the kernel does not allow it.
    """
    unshare = shutil.which("unshare")
    if unshare is None:
        raise VirtualPhoneFailed(
            "The virtual phone needs the program `unshare`.", next_step="Install Debian's package util-linux."
        )
    user = [] if os.geteuid() == 0 and not user_namespace else ["--user", "--map-root-user"]
    prefix = [unshare, *user, "--mount", "--pid", "--fork", "--kill-child"]
    probe = subprocess.run([*prefix, "true"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if probe.returncode != 0:
        raise VirtualPhoneFailed(
            f"The kernel refuses the namespaces that the virtual phone needs: {probe.stderr.strip()}.",
            next_step="Allow user namespaces (sysctl kernel.unprivileged_userns_clone=1), run as root, "
            "or start the container with the SYS_ADMIN capability.",
        )
    return prefix


def mount_system_folders(root: Path, proc_files: Path, *, faults: Faults) -> None:
    """Give the root /proc, its own /sys (read-only) and a few devices; call it inside the namespaces.

    Args:
        root: the phone's root.
        proc_files: files that take the place of those in /proc.
        faults: say how large a /data kept in memory is, so that both ``df`` and writing know its limit, and
            what is not allowed there.
    """
    # df finds a path's file system by its mount point, so the root and /data have to be mount points.
    mount(str(root), root, None, _MS_BIND | _MS_REC)
    if faults.space_bytes is None:
        mount(str(root / "data"), root / "data", None, _MS_BIND)
    else:
        mount("tmpfs", root / "data", "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={faults.space_bytes}")
        (root / "data" / "local" / "tmp").mkdir(parents=True)
    if faults.data is not None:
        forbidden = _MS_NOEXEC if faults.data == "noexec" else _MS_RDONLY
        mount(None, root / "data", None, _MS_REMOUNT | _MS_BIND | _MS_NOSUID | _MS_NODEV | forbidden)
    mount("proc", root / "proc", "proc", _HARMLESS)
    for file in proc_files.iterdir():
        mount(str(file), root / "proc" / file.name, None, _MS_BIND)
    mount(str(root / "sys"), root / "sys", None, _MS_BIND)
    mount(None, root / "sys", None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _HARMLESS | _MS_RELATIME)
    for name in _DEVICES:
        device = root / "dev" / name
        device.touch()
        mount(f"/dev/{name}", device, None, _MS_BIND)


def enter_root(root: Path) -> None:
    """Make ``root`` this process's root for good."""
    os.chroot(root)
    os.chdir("/")


def mount(source: str | None, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    """Mount a file system, or a folder or file in a second place; see mount in section 2 of the manual.

    Raises:
        OSError: as the kernel says.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = [text.encode() if text is not None else None for text in (source, str(target), kind)]
    if libc.mount(*arguments, ctypes.c_ulong(flags), options.encode() if options else None) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(target))
