"""What devices share that are reached through a program which runs a shell on them: adb, ssh."""

from __future__ import annotations

import posixpath
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NoReturn

from toolkit.devices.base import CommandResult, DeviceInfo, Readings
from toolkit.devices.conditions import parse_df_free_bytes
from toolkit.devices.device_lock import device_lock
from toolkit.devices.identity import IDENTITY_SCRIPT, Identity, parse_identity
from toolkit.devices.lease import LEASE_S, Lease, host_id, release_any
from toolkit.devices.marked_shell import MarkedOutput, kill_script, remote_script
from toolkit.devices.patience import Patience
from toolkit.devices.process import Finished
from toolkit.devices.readings import interpret_readings, readings_command
from toolkit.devices.stall import StallWatch
from toolkit.errors import DeviceError, DeviceLost, DeviceUnreadable, FileAbsent, TransferFailed
from toolkit.files import whole_file
from toolkit.progress import ProgressCallback, silent

_KILL_TIMEOUT_S = 3.0
# How often a conversation looks whether its lease wants to be renewed; a part of what a lease lasts.
RENEWAL_S = LEASE_S / 4
# A cut costs at most one piece; smaller ones would cost the plain path some of its speed.
_PUSH_PIECE_BYTES = 256 << 20
# $1 is a file's absolute path. That it is not there is known where its folder, or the nearest one above
# that exists, can be looked into.
SIZE_OR_ABSENT = """
stat -c %s "$1" && exit
folder=${1%/*}
while [ -n "$folder" ] && [ ! -e "$folder" ]; do folder=${folder%/*}; done
[ ! -e "$1" ] && [ ! -L "$1" ] && [ -d "${folder:-/}" ] && [ -x "${folder:-/}" ] && echo absent
:
"""


class ShellDevice(ABC):
    """One device behind a remote shell; see devices.base.Device for the contract.

    A call never outlives its timeout by more than three seconds, which go into killing what it left on
    the device.

    Args:
        serial: as the user names it.
        workdir: the folder that the toolkit owns there.
        lock_folder: where this host's device locks are.
        patience: timeouts.
    """

    def __init__(
        self, serial: str, workdir: str, *, lock_folder: Path, patience: Patience = Patience()
    ) -> None:
        self.serial = serial
        self.workdir = workdir
        # The folder itself is not there before the first push.
        self._parent = posixpath.dirname(workdir)
        self.push_piece_bytes: int | None = _PUSH_PIECE_BYTES
        self._lock_folder = lock_folder
        self._patience = patience
        self._lease: Lease | None = None
        self._identity: Identity | None = None

    @abstractmethod
    def info(self) -> DeviceInfo:
        """Describe the device."""

    @abstractmethod
    def push(self, local: Path, remote: str, *, progress: ProgressCallback = silent) -> None:
        """Copy one file to the device, overwriting; a cut leaves part of it, see devices.transfer."""

    @abstractmethod
    def _run_script(
        self, script: str, token: str, *, timeout_s: float, on_stdout: Callable[[bytes], None] | None = None
    ) -> Finished:
        """Give a script to the device's shell, with the token among its arguments, and wait for its end."""

    @abstractmethod
    def _converse_with_script(
        self,
        script: str,
        token: str,
        stdin: IO[bytes],
        *,
        on_stdout: Callable[[bytes], None],
        on_tick: Callable[[], None],
    ) -> Finished:
        """As `_run_script`, with something for the script to read; Ctrl-C of the terminal does not end it."""

    @abstractmethod
    def _pull_into(self, remote: str, local: Path, *, size_bytes: int, on_tick: Callable[[], None]) -> None:
        """Copy a file of that size into ``local``; ``on_tick`` is called every ``patience.poll_s``."""

    @abstractmethod
    def _raise_failure(self, text: str, *, doing: str, otherwise: type[DeviceError]) -> NoReturn:
        """Raise what the program's error text means."""

    def identity(self) -> Identity:
        """Which device it is, whatever adb or ssh calls it; asked once.

        Raises:
            DeviceError: the device does not answer.
        """
        if self._identity is None:
            script = ["sh", "-c", IDENTITY_SCRIPT, "slm-identity"]
            self._identity = parse_identity(self._run_unleased(script, self._patience.call_s).stdout)
        return self._identity

    def readings(self, *, cpu_window_s: float = 0.5) -> Readings:
        """Conditions now; watching the CPU's load takes ``cpu_window_s``."""
        return interpret_readings(self._run(readings_command(cpu_window_s)).stdout, unix_ns=time.time_ns())

    def free_space(self) -> int:
        """Bytes free where artifacts are put."""
        result = self._run(["df", "-k", self._parent])
        free = parse_df_free_bytes(result.stdout)
        if free is None:
            raise DeviceError(
                f"Free space is unreadable: `df -k {self._parent}` printed {result.stdout[:200]!r}.",
                serial=self.serial,
                next_step=f"Run it again; `slm doctor --device {self.serial}` says what the device lacks.",
            )
        return free

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes of this host, and other hosts, off the device."""
        with device_lock(self._lock_folder, self.serial, system=self.identity().system):
            lease = Lease(
                self._run_unleased,
                self.workdir,
                serial=self.serial,
                host=host_id(self._lock_folder),
                call_s=self._patience.call_s,
            )
            lease.cover(self._patience.call_s)
            self._lease = lease
            try:
                yield
            finally:
                self._lease = None
                lease.release()

    def release(self) -> None:
        """Remove the device's lease, whoever holds it.

        Raises:
            DeviceBusy: a process of this host uses the device.
            DeviceError: the device does not answer.
        """
        with device_lock(self._lock_folder, self.serial, system=self.identity().system):
            release_any(self._run_unleased, self.workdir, call_s=self._patience.call_s)

    def shell(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        on_stdout_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        """Run a command on the device; returncode 127 means that it has no such program.

        Raises:
            DeviceTimeout: past ``timeout_s``; the command and what it started have been killed on the device,
                if it still answers.
            DeviceLost: the connection broke before the command's end was seen.
            DeviceNotReady: unauthorized, no permissions.
            DeviceBusy: another host has taken the device over.
        """
        self._cover(timeout_s)
        return self._run_unleased(argv, timeout_s, on_stdout_line)

    def converse(
        self, argv: Sequence[str], stdin: IO[bytes], *, on_stdout_line: Callable[[str], None]
    ) -> CommandResult:
        """Run a command that is told what to do while it runs; the lease is renewed meanwhile.

        Raises:
            DeviceTimeout, DeviceLost, DeviceNotReady, DeviceBusy: as :meth:`shell`; a device that stops
                answering is noticed at the next renewal of the lease at the latest.
        """

        def run(script: str, token: str, on_stdout: Callable[[bytes], None]) -> Finished:
            return self._converse_with_script(
                script, token, stdin, on_stdout=on_stdout, on_tick=lambda: self._cover(2 * RENEWAL_S)
            )

        self._cover(2 * RENEWAL_S)
        return self._run_marked(argv, run, on_stdout_line, keeps=False)

    def pull(self, remote: str, local: Path, *, progress: ProgressCallback = silent) -> None:
        """Copy one file from the device; ``local`` appears whole or not at all.

        Raises:
            FileAbsent: no such file on the device.
            DeviceUnreadable: the device does not say whether it has it.
            TransferFailed: its size changed meanwhile.
            DeviceTimeout, DeviceLost, DeviceNotReady: as they say.
        """
        size = self._size_to_pull(remote)
        target = local.absolute()
        target.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(target) as partial:
            watch = self._watch(
                lambda: partial.stat().st_size if partial.exists() else None,
                size_bytes=size,
                doing=f"pulling {remote}",
                progress=progress,
            )
            self._pull_into(remote, partial, size_bytes=size, on_tick=watch)
            if partial.stat().st_size != size:
                raise TransferFailed(
                    f"{remote} came as {partial.stat().st_size} bytes instead of {size}.",
                    serial=self.serial,
                    next_step="Run the same command again.",
                )
            progress(size, size)

    def _run_unleased(
        self,
        argv: Sequence[str],
        timeout_s: float,
        on_stdout_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        def run(script: str, token: str, on_stdout: Callable[[bytes], None]) -> Finished:
            return self._run_script(script, token, timeout_s=timeout_s, on_stdout=on_stdout)

        return self._run_marked(argv, run, on_stdout_line)

    def _run_marked(
        self,
        argv: Sequence[str],
        run: Callable[[str, str, Callable[[bytes], None]], Finished],
        on_stdout_line: Callable[[str], None] | None,
        *,
        keeps: bool = True,
    ) -> CommandResult:
        token = f"slm-{secrets.token_hex(8)}"
        output = MarkedOutput(token, on_stdout_line, keeps=keeps)
        try:
            finished = run(remote_script(argv, token), token, output.feed)
        except BaseException:
            # A timeout, Ctrl-C or the callback's own error: either way nothing stays running on the device.
            self._kill_remote(output.pid, token)
            raise
        stderr = finished.stderr.decode(errors="replace")
        if output.returncode is None:
            # Once the command had started, stderr is the command's own and says nothing about the connection.
            said = f"{stderr} {output.before}".strip() if output.pid is None else ""
            self._raise_failure(said, doing=f"running {argv[0]}", otherwise=DeviceLost)
        return CommandResult(tuple(argv), output.returncode, output.text, stderr)

    def _watch(
        self, size_now: Callable[[], int | None], *, size_bytes: int, doing: str, progress: ProgressCallback
    ) -> Callable[[], None]:
        """What to call now and then while a file travels: looks at its size and keeps the lease."""
        progress(0, size_bytes)
        watch = StallWatch(
            size_now,
            serial=self.serial,
            doing=doing,
            stall_s=self._patience.stall_s,
            on_size=lambda size: progress(min(size, size_bytes), size_bytes),
        )

        def look() -> None:
            watch.look()
            self._cover(self._patience.stall_s)

        return look

    def _check_arrived(self, remote: str, size_bytes: int) -> None:
        arrived = self._remote_size(remote, timeout_s=self._patience.call_s)
        if arrived != size_bytes:
            raise TransferFailed(
                f"{remote} has {arrived} bytes on the device instead of {size_bytes}.",
                serial=self.serial,
                next_step="Run the same command again.",
            )

    def _cover(self, seconds: float) -> None:
        if self._lease is not None:
            self._lease.cover(seconds)

    def _run(self, argv: Sequence[str]) -> CommandResult:
        return self.shell(argv, timeout_s=self._patience.call_s)

    def _remote_size(self, remote: str, *, timeout_s: float) -> int | None:
        answer = _answer(self.shell(["stat", "-c", "%s", remote], timeout_s=timeout_s).stdout)
        return int(answer) if answer.isdigit() else None

    def _size_to_pull(self, remote: str) -> int:
        result = self.shell(["sh", "-c", SIZE_OR_ABSENT, "slm-size", remote], timeout_s=self._patience.call_s)
        answer = _answer(result.stdout)
        if answer == "absent":
            raise FileAbsent(
                f"The device has no file {remote}.",
                serial=self.serial,
                next_step="Check the path, or push the file again.",
            )
        if not answer.isdigit():
            said = f"{result.stderr} {result.stdout}".strip()[-300:] or "no answer"
            raise DeviceUnreadable(
                f"The device does not say how large {remote} is: {said}.",
                serial=self.serial,
                next_step="Run the same command again; slm doctor says what the device lacks.",
            )
        return int(answer)

    def _kill_remote(self, pid: int | None, token: str) -> None:
        if pid is None:
            return
        try:
            self._run_script(kill_script(pid, token), "slm-kill", timeout_s=_KILL_TIMEOUT_S)
        except DeviceError:
            # Best effort: the error that brought us here says what is wrong.
            pass


def _answer(printed: str) -> str:
    """A size, or "absent": shells of before Android 7 mix into it what the script complains of."""
    lines = (line.strip() for line in printed.splitlines())
    return next((line for line in lines if line == "absent" or line.isdigit()), "")
