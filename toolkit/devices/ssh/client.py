"""The one seam to the ssh program: argument lists, one shared connection, a timeout on every call."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toolkit.devices.process import CannotStart, Finished, ProcessTimeout, run_process
from toolkit.errors import DeviceError, DeviceNotReady, DeviceTimeout, UsageError

PREFIX = "ssh:"

_CONNECT_TIMEOUT_S = 10
# A dead link is noticed after three missing answers.
_ALIVE_INTERVAL_S = 5
_ALIVE_MISSES = 3
# The shared connection ends by itself this long after its last use.
_PERSIST_S = 60


@dataclass(frozen=True)
class SshClient:
    """Runs scripts on one host.

    Host names, ports, keys and jump hosts are the user's own ~/.ssh/config; nothing is ever asked, because
    nobody may be there to answer.

    Attributes:
        binary: the ssh program.
        destination: USER@HOST, HOST, or a name from the user's config.
        control_folder: where the sockets of shared connections are.
    """

    binary: Path
    destination: str
    control_folder: Path

    @property
    def serial(self) -> str:
        """What the toolkit calls the host."""
        return f"{PREFIX}{self.destination}"

    def execute(
        self,
        script: str,
        *,
        timeout_s: float,
        stdin: IO[bytes] | None = None,
        on_stdout: Callable[[bytes], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        tick_s: float = 1.0,
        own_group: bool = False,
    ) -> Finished:
        """Give a script to the host's shell; every ssh call of the toolkit comes through here.

        With ``own_group`` ssh is out of reach of the terminal's Ctrl-C.

        Raises:
            DeviceTimeout: it took longer than ``timeout_s``; ssh has been killed.
            DeviceNotReady: ssh cannot be started.
        """
        try:
            return run_process(
                [str(self.binary), *self._options(), "--", self.destination, script],
                timeout_s=timeout_s,
                stdin=stdin,
                on_stdout=on_stdout,
                on_tick=on_tick,
                tick_s=tick_s,
                own_group=own_group,
            )
        except ProcessTimeout:
            raise DeviceTimeout(
                f"ssh got no answer within {timeout_s:.0f} s.",
                serial=self.serial,
                next_step=f"Check that the board is on and reachable: ssh {self.destination} true",
            ) from None
        except CannotStart as error:
            raise DeviceNotReady(
                f"{self.binary} cannot be run: {error.reason.strerror}.",
                serial=self.serial,
                next_step="Install the OpenSSH client (Debian: apt install openssh-client).",
            ) from error

    def _options(self) -> list[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": _CONNECT_TIMEOUT_S,
            "ServerAliveInterval": _ALIVE_INTERVAL_S,
            "ServerAliveCountMax": _ALIVE_MISSES,
            # One connection for all calls: without it each costs a key exchange, half a second on a board.
            "ControlMaster": "auto",
            "ControlPersist": _PERSIST_S,
            # %C is a hash of user, host and port: a socket's path has little room.
            "ControlPath": f"{self.control_folder}/%C",
            "LogLevel": "ERROR",
            "RequestTTY": "no",
        }
        return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def find_client(serial: str) -> SshClient:
    """The client for ``ssh:USER@HOST``.

    Raises:
        UsageError: no host in it, or one that ssh would take for an option.
        DeviceNotReady: no ssh program.
    """
    destination = serial.removeprefix(PREFIX)
    if not destination or destination.startswith("-") or any(c.isspace() or c == "\0" for c in destination):
        raise UsageError(f"{serial!r} names no host", next_step="Write it like ssh:pi@raspberrypi.")
    binary = shutil.which("ssh")
    if binary is None:
        raise DeviceNotReady(
            "there is no ssh program",
            serial=serial,
            next_step="Install the OpenSSH client (Debian: apt install openssh-client).",
        )
    return SshClient(Path(binary), destination, _control_folder(serial))


def _control_folder(serial: str) -> Path:
    """A folder that only this user can enter: whoever can open the sockets can use the connections."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    folder = base / f"slm-ssh-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise DeviceError(
            f"{folder} is not a folder of yours alone, so ssh's connections are not safe in it.",
            serial=serial,
            next_step="Remove it, or set XDG_RUNTIME_DIR to a folder of your own.",
        )
    return folder
