"""The one seam to the adb binary: argument lists, a timeout on every call, typed errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from toolkit.devices.adb.binary import WORKING_ADB
from toolkit.devices.adb.parsers import AttachedDevice, ConnectOutcome, parse_connect, parse_devices
from toolkit.devices.process import CannotStart, Finished, ProcessTimeout, run_process
from toolkit.errors import AdbServerFailed, DeviceTimeout

# Starting adb's server, when none runs, takes a second or two.
_SERVER_TIMEOUT_S = 20.0


@dataclass(frozen=True)
class AdbClient:
    """Runs adb commands.

    The server is the user's own: ANDROID_ADB_SERVER_PORT and HOME (adb's key) mean what they mean to adb.
    adb's exit code says little (29 returns 0 when the phone dies); callers look at what was printed.
    """

    binary: Path

    def execute(
        self,
        args: Sequence[str],
        *,
        timeout_s: float,
        serial: str | None = None,
        on_stdout: Callable[[bytes], None] | None = None,
        on_tick: Callable[[], None] | None = None,
        tick_s: float = 1.0,
        stdin: IO[bytes] | None = None,
    ) -> Finished:
        """Run ``adb [-s serial] args``; every adb call of the toolkit comes through here.

        With ``stdin`` adb is out of reach of the terminal's Ctrl-C: whoever writes there ends it.

        Raises:
            AdbServerFailed: the binary cannot be started.
            DeviceTimeout: adb took longer than ``timeout_s``; it has been killed.
        """
        selector = ["-s", serial] if serial else []
        try:
            return run_process(
                [str(self.binary), *selector, *args],
                timeout_s=timeout_s,
                on_stdout=on_stdout,
                on_tick=on_tick,
                tick_s=tick_s,
                stdin=stdin,
                own_group=stdin is not None,
            )
        except ProcessTimeout:
            raise DeviceTimeout(
                f"`adb {args[0]}` got no answer within {timeout_s:.0f} s.",
                serial=serial,
                next_step="Check cable and phone; `adb kill-server` restarts a stuck adb server.",
            ) from None
        except CannotStart as error:
            raise AdbServerFailed(
                f"{self.binary} cannot be run: {error.reason.strerror}.", next_step=WORKING_ADB
            ) from error

    def devices(self) -> list[AttachedDevice]:
        """List what adb's server sees, in any state; an empty list means that no phone is attached.

        Raises:
            AdbServerFailed: adb could not say, so phones may well be attached.
        """
        finished = self.execute(["devices", "-l"], timeout_s=_SERVER_TIMEOUT_S)
        listed = parse_devices(finished.stdout.decode(errors="replace"))
        if finished.returncode != 0 or listed is None:
            said = " ".join((finished.stderr or finished.stdout).decode(errors="replace").split())[-300:]
            raise AdbServerFailed(
                f"`{self.binary} devices` failed (exit code {finished.returncode}); it said: "
                f"{said or 'nothing'}.",
                next_step=f"Run `{self.binary} devices` until it lists phones again: its server needs a free "
                "port and a HOME that it may write to. --device local measures this machine on purpose.",
            )
        return listed

    def connect(self, address: str) -> ConnectOutcome:
        """Connect to a phone over TCP; adb's exit code is 0 even when that failed, so its text is read."""
        finished = self.execute(["connect", address], timeout_s=_SERVER_TIMEOUT_S)
        return parse_connect((finished.stdout + finished.stderr).decode(errors="replace"))

    def disconnect(self, address: str) -> None:
        """Forget a TCP phone; not being connected is fine."""
        self.execute(["disconnect", address], timeout_s=_SERVER_TIMEOUT_S)
