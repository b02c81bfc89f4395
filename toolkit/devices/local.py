"""This machine behind the device interface."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO

from toolkit.devices import host
from toolkit.devices.base import CommandResult, DeviceInfo, Readings
from toolkit.devices.conditions import (
    cpu_busy,
    parse_cpu_times,
    parse_meminfo_bytes,
)
from toolkit.devices.cpus import parse_cpus
from toolkit.devices.device_lock import device_lock
from toolkit.devices.identity import Identity
from toolkit.devices.lines import LineSplitter
from toolkit.devices.process import ENDLESS_S, CannotStart, ProcessTimeout, run_process
from toolkit.devices.thermal import parse_thermal_zones
from toolkit.errors import DeviceFull, DeviceTimeout, FileAbsent, TransferFailed
from toolkit.files import whole_file
from toolkit.progress import ProgressCallback, silent
from toolkit.settings import Settings

LOCAL_SERIAL = "local"
_COPY_BYTES = 8 << 20
# Of st_blocks, whatever the file system's own blocks are.
_BLOCK_BYTES = 512
_ANDROID_ABIS = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64-v8a", "arm64": "arm64-v8a"}


def host_abi() -> str:
    """This machine's ABI in Android's words, or the machine's own word for another architecture."""
    return android_abi(platform.machine())


def android_abi(machine: str) -> str:
    """Android's word for what ``uname -m`` says, or that word itself for another architecture."""
    return _ANDROID_ABIS.get(machine.lower(), machine.lower())


class LocalDevice:
    """This machine; see devices.base.Device for the contract.

    Files are copied, never hard-linked: a link would let a change on either side reach the other and make
    the proof of their bytes worthless. Where the file system can share blocks, the copy is one in name only.
    """

    serial = LOCAL_SERIAL
    # Copying is not cut short, and parts would keep file systems from sharing blocks.
    push_piece_bytes: int | None = None

    def __init__(self, settings: Settings) -> None:
        self.workdir = str(settings.data_dir / "local-device")
        self._lock_folder = settings.data_dir / "locks"

    def info(self) -> DeviceInfo:
        """Describe this machine."""
        return DeviceInfo(
            serial=self.serial,
            kind="local",
            state="device",
            manufacturer=host.first_line("/sys/class/dmi/id/sys_vendor"),
            # Never the host's name: it is nobody's business where results are shared.
            model=host.first_line("/sys/class/dmi/id/product_name") or host.cpu_name(),
            soc=host.cpu_name(),
            abi=host_abi(),
            os_version=host.os_name(),
            build=platform.release(),
            cpu_cores=parse_cpus(host.cpus()).count or os.cpu_count(),
            page_bytes=os.sysconf("SC_PAGE_SIZE"),
            ram_bytes=parse_meminfo_bytes(host.read("/proc/meminfo"), "MemTotal"),
            free_bytes=self.free_space(),
            used_bytes=_disk_use(Path(self.workdir)),
            identity=host.machine(),
        )

    def identity(self) -> Identity:
        """The machine and its running system: "local" is another machine on every host of a team."""
        return Identity(hardware=host.machine(), system=host.running_system())

    def shell(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        on_stdout_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Run a command here, in ``workdir``; returncode 127 means no such program, 128 + N died of signal N.

        Raises:
            DeviceTimeout: past ``timeout_s``; the command and what it started have been killed.
        """
        stdout = bytearray()
        lines = LineSplitter(on_stdout_line) if on_stdout_line else None

        def arrived(data: bytes) -> None:
            stdout.extend(data)
            if lines:
                lines.feed(data)

        result = self._run(argv, arrived, timeout_s=timeout_s)
        if lines:
            lines.finish()
        return replace(result, stdout=stdout.decode(errors="replace"))

    def converse(
        self, argv: Sequence[str], stdin: IO[bytes], *, on_stdout_line: Callable[[str], None]
    ) -> CommandResult:
        """As :meth:`shell`, for a command that is told what to do while it runs."""
        lines = LineSplitter(on_stdout_line)
        result = self._run(argv, lines.feed, timeout_s=ENDLESS_S, stdin=stdin)
        lines.finish()
        return result

    def _run(
        self,
        argv: Sequence[str],
        on_stdout: Callable[[bytes], None],
        *,
        timeout_s: float,
        stdin: IO[bytes] | None = None,
    ) -> CommandResult:
        Path(self.workdir).mkdir(parents=True, exist_ok=True)
        try:
            finished = run_process(
                argv, timeout_s=timeout_s, on_stdout=on_stdout, own_group=True, cwd=self.workdir, stdin=stdin
            )
        except ProcessTimeout:
            raise DeviceTimeout(
                f"`{argv[0]}` ran longer than {timeout_s:.0f} s.",
                serial=self.serial,
                next_step="Run it again when this machine is less busy.",
            ) from None
        except CannotStart as error:
            # As a shell says it: 127 not found, 126 found but not executable.
            code = 127 if isinstance(error.reason, FileNotFoundError) else 126
            return CommandResult(tuple(argv), code, "", f"{argv[0]}: {error.reason.strerror}\n")
        returncode = finished.returncode if finished.returncode >= 0 else 128 - finished.returncode
        return CommandResult(tuple(argv), returncode, "", finished.stderr.decode(errors="replace"))

    def push(self, local: Path, remote: str, *, progress: ProgressCallback = silent) -> None:
        """Copy a file to a place on this machine."""
        self._copy(local, Path(remote), progress)

    def pull(self, remote: str, local: Path, *, progress: ProgressCallback = silent) -> None:
        """Copy a file from a place on this machine; ``local`` appears whole or not at all."""
        with whole_file(local) as part:
            self._copy(Path(remote), part, progress)

    def free_space(self) -> int:
        """Bytes free where ``workdir`` is or will be."""
        folder = Path(self.workdir)
        while not folder.exists():
            folder = folder.parent
        return shutil.disk_usage(folder).free

    def readings(self, *, cpu_window_s: float = 0.5) -> Readings:
        """Conditions now; watching the CPU's load takes ``cpu_window_s``."""
        before = after = None
        if cpu_window_s > 0:
            before = parse_cpu_times(host.read("/proc/stat"))
            time.sleep(cpu_window_s)
            after = parse_cpu_times(host.read("/proc/stat"))
        source, cpus = host.power_source(), parse_cpus(host.cpus())
        return Readings(
            unix_ns=time.time_ns(),
            cpu_busy=cpu_busy(before, after),
            online_cpus=cpus.online,
            cpu_frequencies_khz=cpus.frequencies_khz,
            cpu_frequency_caps_khz=cpus.caps_khz,
            cpu_maximum_frequencies_khz=cpus.maxima_khz,
            available_ram_bytes=parse_meminfo_bytes(host.read("/proc/meminfo"), "MemAvailable"),
            hottest_cpu_celsius=parse_thermal_zones(host.thermal_zones()),
            battery_percent=host.battery_percent(),
            charging=None if source is None else source != "battery",
            power_source=source,
        )

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from measuring on this machine at the same time."""
        return device_lock(self._lock_folder, self.serial, system=self.identity().system)

    def _copy(self, source: Path, target: Path, progress: ProgressCallback) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _copy_file(source, target, progress)
        except FileNotFoundError as error:
            raise FileAbsent(
                f"No file {error.filename}.", serial=self.serial, next_step="Check the path."
            ) from error
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DeviceFull(
                    f"No space left while copying to {target}.",
                    serial=self.serial,
                    next_step="Free some space.",
                ) from error
            raise TransferFailed(
                f"Copying to {target} failed: {error.strerror}.",
                serial=self.serial,
                next_step="Check that the folder can be written to, and run it again.",
            ) from error


def _disk_use(folder: Path) -> int:
    """Bytes of blocks below a folder; files that vanish meanwhile do not count."""
    used = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                used += os.lstat(os.path.join(parent, name)).st_blocks * _BLOCK_BYTES
            except FileNotFoundError:
                continue
    return used


def _copy_file(source: Path, target: Path, progress: ProgressCallback) -> None:
    """Copy content and permissions, the blocks shared where the file system can (Btrfs, XFS)."""
    size = source.stat().st_size
    progress(0, size)
    with source.open("rb") as reader, target.open("wb") as writer:
        done = 0
        while copied := _copy_some(reader.fileno(), writer.fileno()):
            done += copied
            progress(done, size)
    shutil.copymode(source, target)


def _copy_some(source: int, target: int) -> int:
    if hasattr(os, "copy_file_range"):
        try:
            return os.copy_file_range(source, target, _COPY_BYTES)
        except OSError as error:
            # Not between these two file systems, or not on this kernel: both offsets are where they were.
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
    return os.write(target, os.read(source, _COPY_BYTES))
