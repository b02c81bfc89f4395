"""A phone behind the real adb binary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NoReturn

from toolkit.devices.adb.client import AdbClient
from toolkit.devices.adb.description import INFO_SCRIPT, describe
from toolkit.devices.adb.failures import raise_failure
from toolkit.devices.base import DeviceInfo
from toolkit.devices.patience import Patience
from toolkit.devices.process import ENDLESS_S, Finished
from toolkit.devices.shell_device import RENEWAL_S, ShellDevice
from toolkit.errors import DeviceError, TransferFailed
from toolkit.files import check_room
from toolkit.progress import ProgressCallback, silent

# The one place that every Android version lets the shell user write to and execute from.
_SCRATCH = "/data/local/tmp"


class AdbDevice(ShellDevice):
    """One phone, real or virtual, over adb.

    Args:
        serial: as ``adb devices`` shows it.
        client: the adb binary.
        lock_folder: where this host's device locks are.
        patience: timeouts.
    """

    def __init__(
        self, serial: str, client: AdbClient, *, lock_folder: Path, patience: Patience = Patience()
    ) -> None:
        super().__init__(serial, f"{_SCRATCH}/slm-toolkit", lock_folder=lock_folder, patience=patience)
        self._client = client

    def info(self) -> DeviceInfo:
        """Describe the phone."""
        command = ["sh", "-c", INFO_SCRIPT, "sh", self._parent, self.workdir]
        return describe(self.serial, self._run(command).stdout)

    def push(self, local: Path, remote: str, *, progress: ProgressCallback = silent) -> None:
        """Copy one file to the phone, overwriting; a cut leaves part of it, see devices.transfer.

        Raises:
            DeviceTimeout: no byte arrived for ``patience.stall_s`` (noticed within two polls more).
            DeviceFull, DeviceLost, DeviceNotReady, TransferFailed: as they say.
        """
        size = local.stat().st_size
        doing = f"pushing {local.name}"
        watch = self._watch(
            lambda: self._remote_size(remote, timeout_s=self._patience.stall_s / 2),
            size_bytes=size,
            doing=doing,
            progress=progress,
        )
        self._transfer(["push", str(local.absolute()), remote], size_bytes=size, on_tick=watch, doing=doing)
        progress(size, size)
        self._check_arrived(remote, size)

    def _pull_into(self, remote: str, local: Path, *, size_bytes: int, on_tick: Callable[[], None]) -> None:
        check_room(local.parent, size_bytes)
        self._transfer(
            ["pull", remote, str(local)], size_bytes=size_bytes, on_tick=on_tick, doing=f"pulling {remote}"
        )

    def _transfer(
        self, args: Sequence[str], *, size_bytes: int, on_tick: Callable[[], None], doing: str
    ) -> None:
        self._cover(self._patience.stall_s)
        finished = self._client.execute(
            args,
            serial=self.serial,
            timeout_s=self._patience.transfer_s(size_bytes),
            on_tick=on_tick,
            tick_s=self._patience.poll_s,
        )
        # adb 36 prints "1 file pushed" beside its exit code 1; the size is checked afterwards in any case.
        if finished.returncode != 0:
            text = (finished.stdout + finished.stderr).decode(errors="replace")
            self._raise_failure(text, doing=doing, otherwise=TransferFailed)

    def _run_script(
        self, script: str, token: str, *, timeout_s: float, on_stdout: Callable[[bytes], None] | None = None
    ) -> Finished:
        # adbd hands the script to `sh -c`: the token is in it.
        return self._client.execute(
            ["shell", script], serial=self.serial, timeout_s=timeout_s, on_stdout=on_stdout
        )

    def _converse_with_script(
        self,
        script: str,
        token: str,
        stdin: IO[bytes],
        *,
        on_stdout: Callable[[bytes], None],
        on_tick: Callable[[], None],
    ) -> Finished:
        return self._client.execute(
            ["shell", script],
            serial=self.serial,
            timeout_s=ENDLESS_S,
            stdin=stdin,
            on_stdout=on_stdout,
            on_tick=on_tick,
            tick_s=RENEWAL_S,
        )

    def _raise_failure(self, text: str, *, doing: str, otherwise: type[DeviceError]) -> NoReturn:
        raise_failure(text, serial=self.serial, doing=doing, otherwise=otherwise)
