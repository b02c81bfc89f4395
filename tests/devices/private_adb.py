"""An adb server of the tests' own, so that the user's phones and keys are out of reach."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from toolkit.devices.adb.binary import find_adb, wheel_adb
from toolkit.devices.adb.client import AdbClient
from toolkit.settings import Settings


def adb_binary(which: str) -> Path:
    """The adb that a user would get, the one on PATH (Debian's 29), or the one in adbutils (36)."""
    if which == "default":
        return find_adb(Settings.from_environment())
    found = wheel_adb() if which == "wheel" else shutil.which("adb")
    if not found:
        pytest.skip(f"no adb for {which!r}; Debian's package `adb` brings one to PATH")
    return Path(found)


class AdbServer:
    """The real adb server on a free port; ``environ`` leads adb clients to it."""

    def __init__(self, client: AdbClient, home: Path) -> None:
        self.client = client
        self._log = home / "server.log"
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self.environ = {
            "HOME": str(home),
            "ANDROID_ADB_SERVER_PORT": str(self._port),
            "ADB_MDNS_AUTO_CONNECT": "0",
            "SLM_ADB": str(client.binary),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in the place of one that a client may have started since :meth:`kill`."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            self.kill()
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    [self.client.binary, "nodaemon", "server"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self.environ},
                )
            # One that finds the port taken by a client's server ends at once.
            while self._process.poll() is None and time.monotonic() < deadline:
                if self._process.pid in self._listeners():
                    return
                time.sleep(0.02)
        raise AssertionError(f"the adb server did not start, see {self._log}")

    def kill(self) -> None:
        """Cut every link at once, also when it is a client that has started the server."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
        for pid in self._listeners():
            os.kill(pid, signal.SIGKILL)

    def _listeners(self) -> list[int]:
        """Pids of whatever listens on the port."""
        listening = [each for each in psutil.net_connections("tcp4") if each.status == psutil.CONN_LISTEN]
        return [each.pid for each in listening if each.laddr.port == self._port and each.pid]
