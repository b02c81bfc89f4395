"""A Linux board behind the OpenSSH client."""

from __future__ import annotations

import posixpath
import secrets
import shlex
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, NoReturn

from toolkit.devices.base import DeviceInfo
from toolkit.devices.marked_shell import BetweenMarkers, marked_output
from toolkit.devices.patience import Patience
from toolkit.devices.process import ENDLESS_S, Finished
from toolkit.devices.shell_device import RENEWAL_S, ShellDevice
from toolkit.devices.ssh.client import SshClient
from toolkit.devices.ssh.description import INFO_SCRIPT, describe
from toolkit.devices.ssh.failures import raise_failure
from toolkit.errors import DeviceError, DeviceLost, TransferFailed
from toolkit.progress import ProgressCallback, silent

_FOLDER = ".slm-toolkit"
# Read whole before anything runs, so that no command takes the rest of it for its input.
_READ_SCRIPT = 'script=$(cat); exec </dev/null; eval "$script"'
# $1 is a script in one line, as `printf %b` reads it.
_UNFOLD_SCRIPT = 'eval "$(printf %b "$1")"'
# ssh's own exit code for whatever is wrong with the connection.
_SSH_FAILED = 255


class SshDevice(ShellDevice):
    """One Linux board over ssh. Files lie in ``.slm-toolkit`` of the user's home folder there.

    Args:
        client: the connection.
        home: the user's home folder on the board; see :func:`open_board`.
        lock_folder: where this host's device locks are.
        patience: timeouts.
    """

    def __init__(
        self, client: SshClient, home: str, *, lock_folder: Path, patience: Patience = Patience()
    ) -> None:
        super().__init__(
            client.serial, posixpath.join(home, _FOLDER), lock_folder=lock_folder, patience=patience
        )
        self._client = client

    def info(self) -> DeviceInfo:
        """Describe the board."""
        command = ["sh", "-c", INFO_SCRIPT, "sh", self._parent, self.workdir]
        return describe(self.serial, self._run(command).stdout)

    def push(self, local: Path, remote: str, *, progress: ProgressCallback = silent) -> None:
        """Copy one file to the board, overwriting; a cut leaves part of it, see devices.transfer.

        Raises:
            DeviceTimeout: no byte arrived for ``patience.stall_s`` (noticed within two polls more).
            DeviceFull, DeviceLost, DeviceNotReady, TransferFailed: as they say.
        """
        status = local.stat()
        folder, target = shlex.quote(posixpath.dirname(remote)), shlex.quote(remote)
        watch = self._watch(
            lambda: self._remote_size(remote, timeout_s=self._patience.stall_s / 2),
            size_bytes=status.st_size,
            doing=f"pushing {local.name}",
            progress=progress,
        )
        with local.open("rb") as file:
            finished = self._client.execute(
                _in_sh(f"mkdir -p {folder} && cat >{target} && chmod {status.st_mode & 0o777:o} {target}"),
                stdin=file,
                timeout_s=self._patience.transfer_s(status.st_size),
                on_tick=watch,
                tick_s=self._patience.poll_s,
            )
        self._check(finished, doing=f"pushing {local.name}")
        progress(status.st_size, status.st_size)
        self._check_arrived(remote, status.st_size)

    def _pull_into(self, remote: str, local: Path, *, size_bytes: int, on_tick: Callable[[], None]) -> None:
        token = f"slm-{secrets.token_hex(8)}"
        with local.open("wb") as file:

            def write(data: bytes) -> None:
                file.write(data)

            finished = self._client.execute(
                _in_sh(marked_output(f"cat {shlex.quote(remote)}", token)),
                timeout_s=self._patience.transfer_s(size_bytes),
                on_stdout=BetweenMarkers(token, write).feed,
                on_tick=on_tick,
                tick_s=self._patience.poll_s,
            )
        self._check(finished, doing=f"pulling {remote}")

    def _check(self, finished: Finished, *, doing: str) -> None:
        if finished.returncode == 0:
            return
        otherwise = DeviceLost if finished.returncode == _SSH_FAILED else TransferFailed
        self._raise_failure(finished.stderr.decode(errors="replace"), doing=doing, otherwise=otherwise)

    def _run_script(
        self, script: str, token: str, *, timeout_s: float, on_stdout: Callable[[bytes], None] | None = None
    ) -> Finished:
        # On stdin: a login shell such as tcsh takes no text of several lines, however it is quoted.
        with tempfile.TemporaryFile() as file:
            file.write(script.encode(errors="surrogateescape"))
            file.seek(0)
            return self._client.execute(
                f"exec sh -c {shlex.quote(_READ_SCRIPT)} {token}",
                stdin=file,
                timeout_s=timeout_s,
                on_stdout=on_stdout,
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
        # Among the arguments, since stdin is the command's; in one line, because of tcsh.
        return self._client.execute(
            f"exec sh -c {shlex.quote(_UNFOLD_SCRIPT)} {token} {shlex.quote(_folded(script))}",
            stdin=stdin,
            timeout_s=ENDLESS_S,
            on_stdout=on_stdout,
            on_tick=on_tick,
            tick_s=RENEWAL_S,
            own_group=True,
        )

    def _raise_failure(self, text: str, *, doing: str, otherwise: type[DeviceError]) -> NoReturn:
        raise_failure(
            text,
            serial=self.serial,
            destination=self._client.destination,
            doing=doing,
            otherwise=otherwise,
        )


def open_board(client: SshClient, *, lock_folder: Path, patience: Patience = Patience()) -> SshDevice:
    """Connect to a board.

    Raises:
        DeviceNotFound: no host of this name.
        DeviceNotReady: it does not answer, or accepts none of the user's keys.
        DeviceTimeout: it answers too slowly.
    """
    # In a folder that is there in any case, until the home folder is known.
    board = SshDevice(client, "/", lock_folder=lock_folder, patience=patience)
    home = board.shell(["sh", "-c", 'printf %s "$HOME"'], timeout_s=patience.call_s).stdout
    return SshDevice(client, home or "/tmp", lock_folder=lock_folder, patience=patience)


def _folded(script: str) -> str:
    """A script in one line, without what csh takes for its history."""
    return script.replace("\\", "\\\\").replace("\n", "\\n").replace("!", "\\0041")


def _in_sh(script: str) -> str:
    """For sshd, which hands it to the user's login shell, whichever that is; one line only."""
    return f"exec sh -c {shlex.quote(script)}"
