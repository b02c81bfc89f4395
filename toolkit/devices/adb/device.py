"""A phone behind the real adb binary."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from toolkit.devices.adb.client import AdbClient
from toolkit.devices.adb.description import INFO_SCRIPT, describe
from toolkit.devices.adb.failures import raise_failure
from toolkit.devices.adb.shell import MarkedOutput, kill_script, remote_script
from toolkit.devices.adb.stall import StallWatch
from toolkit.devices.base import CommandResult, DeviceInfo, Readings
from toolkit.devices.conditions import parse_df_free_bytes
from toolkit.devices.locks import device_lock
from toolkit.devices.readings import interpret_readings, readings_command
from toolkit.errors import DeviceError, DeviceLost, TransferFailed
from toolkit.progress import ProgressCallback, silent

# The one place that every Android version lets the shell user write to and execute from.
_SCRATCH = "/data/local/tmp"
_KILL_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class Patience:
    """How long to wait for a phone.

    Attributes:
        call_s: a short command: stat, df, getprop.
        stall_s: a transfer without a byte of growth counts as a frozen phone.
        slowest_bytes_per_second: a transfer slower than this over its whole length is given up.
        poll_s: seconds between two looks at a transfer's size.
    """

    call_s: float = 15.0
    stall_s: float = 20.0
    slowest_bytes_per_second: float = 500_000.0
    poll_s: float = 1.0

    def transfer_s(self, size_bytes: int) -> float:
        """Limit for a whole transfer."""
        return self.stall_s + size_bytes / self.slowest_bytes_per_second


class AdbDevice:
    """One phone, real or virtual, over adb; see devices.base.Device for the contract.

    A call never outlives its timeout by more than three seconds, which go into killing what it left on
    the phone.

    Args:
        serial: as ``adb devices`` shows it.
        client: the adb binary.
        lock_folder: where this host's device locks are.
        patience: timeouts.
    """

    def __init__(
        self, serial: str, client: AdbClient, *, lock_folder: Path, patience: Patience = Patience()
    ) -> None:
        self.serial = serial
        self.workdir = f"{_SCRATCH}/slm-toolkit"
        self._client = client
        self._lock_folder = lock_folder
        self._patience = patience

    def info(self) -> DeviceInfo:
        """Describe the phone."""
        return describe(self.serial, self._run(["sh", "-c", INFO_SCRIPT, "sh", _SCRATCH]).stdout)

    def readings(self, *, cpu_window_s: float = 0.5) -> Readings:
        """Conditions now; watching the CPU's load takes ``cpu_window_s``."""
        return interpret_readings(self._run(readings_command(cpu_window_s)).stdout, unix_ns=time.time_ns())

    def free_space(self) -> int:
        """Bytes free where artifacts are put."""
        result = self._run(["df", "-k", _SCRATCH])
        free = parse_df_free_bytes(result.stdout)
        if free is None:
            raise DeviceError(
                f"Free space is unreadable: `df -k {_SCRATCH}` printed {result.stdout[:200]!r}.",
                serial=self.serial,
            )
        return free

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes on this host off the phone."""
        return device_lock(self._lock_folder, self.serial)

    def shell(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        on_stdout_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Run a command on the phone; returncode 127 means the phone has no such program.

        Raises:
            DeviceTimeout: past ``timeout_s``; the command and what it started have been killed on the phone,
                if it still answers.
            DeviceLost: the connection broke before the command's end was seen.
            DeviceNotReady: unauthorized, no permissions.
        """
        token = f"slm-{secrets.token_hex(8)}"
        output = MarkedOutput(token, on_stdout_line)
        try:
            finished = self._client.execute(
                ["shell", remote_script(argv, token)],
                serial=self.serial,
                timeout_s=timeout_s,
                on_stdout=output.feed,
            )
        except BaseException:
            # A timeout, Ctrl-C or the callback's own error: either way nothing stays running on the phone.
            self._kill_remote(output.pid, token)
            raise
        stderr = finished.stderr.decode(errors="replace")
        if output.returncode is None:
            # Once the command had started, stderr is the command's own and says nothing about the connection.
            said = stderr if output.pid is None else ""
            raise_failure(said, serial=self.serial, doing=f"running {argv[0]}", otherwise=DeviceLost)
        return CommandResult(tuple(argv), output.returncode, output.text, stderr)

    def push(self, local: Path, remote: str, *, progress: ProgressCallback = silent) -> None:
        """Copy one file to the phone, overwriting; a cut leaves part of it, see devices.transfer.

        Raises:
            DeviceTimeout: no byte arrived for ``patience.stall_s`` (noticed within two polls more).
            DeviceFull, DeviceLost, DeviceNotReady, TransferFailed: as they say.
        """
        size = local.stat().st_size
        self._transfer(
            ["push", str(local.absolute()), remote],
            size_bytes=size,
            size_now=lambda: self._remote_size(remote, timeout_s=self._patience.stall_s / 2),
            progress=progress,
            doing=f"pushing {local.name}",
        )
        arrived = self._remote_size(remote, timeout_s=self._patience.call_s)
        if arrived != size:
            raise TransferFailed(
                f"{remote} has {arrived} bytes on the phone instead of {size}.",
                serial=self.serial,
                next_step="Run the same command again.",
            )

    def pull(self, remote: str, local: Path, *, progress: ProgressCallback = silent) -> None:
        """Copy one file from the phone; ``local`` appears whole or not at all.

        Raises:
            TransferFailed: no such file on the phone, or its size changed meanwhile.
            DeviceTimeout, DeviceLost, DeviceNotReady: as they say.
        """
        size = self._remote_size(remote, timeout_s=self._patience.call_s)
        if size is None:
            raise TransferFailed(f"The phone has no file {remote}.", serial=self.serial)
        part = local.absolute().with_name(f"{local.name}.part")
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._transfer(
                ["pull", remote, str(part)],
                size_bytes=size,
                size_now=lambda: part.stat().st_size if part.exists() else None,
                progress=progress,
                doing=f"pulling {remote}",
            )
            if part.stat().st_size != size:
                raise TransferFailed(
                    f"{remote} came as {part.stat().st_size} bytes instead of {size}.",
                    serial=self.serial,
                    next_step="Run the same command again.",
                )
            part.replace(local)
        finally:
            part.unlink(missing_ok=True)

    def _transfer(
        self,
        args: Sequence[str],
        *,
        size_bytes: int,
        size_now: Callable[[], int | None],
        progress: ProgressCallback,
        doing: str,
    ) -> None:
        watch = StallWatch(
            size_now, serial=self.serial, doing=doing, stall_s=self._patience.stall_s,
            on_size=lambda size: progress(min(size, size_bytes), size_bytes),
        )  # fmt: skip
        progress(0, size_bytes)
        finished = self._client.execute(
            args,
            serial=self.serial,
            timeout_s=self._patience.transfer_s(size_bytes),
            on_tick=watch.look,
            tick_s=self._patience.poll_s,
        )
        # adb 36 prints "1 file pushed" beside its exit code 1; the size is checked afterwards in any case.
        if finished.returncode != 0:
            text = (finished.stdout + finished.stderr).decode(errors="replace")
            raise_failure(text, serial=self.serial, doing=doing, otherwise=TransferFailed)
        progress(size_bytes, size_bytes)

    def _run(self, argv: Sequence[str]) -> CommandResult:
        return self.shell(argv, timeout_s=self._patience.call_s)

    def _remote_size(self, remote: str, *, timeout_s: float) -> int | None:
        printed = self.shell(["stat", "-c", "%s", remote], timeout_s=timeout_s).stdout.strip()
        return int(printed) if printed.isdigit() else None

    def _kill_remote(self, pid: int | None, token: str) -> None:
        if pid is None:
            return
        try:
            self._client.execute(
                ["shell", kill_script(pid, token)], serial=self.serial, timeout_s=_KILL_TIMEOUT_S
            )
        except DeviceError:
            # Best effort: the error that brought us here says what is wrong.
            pass
