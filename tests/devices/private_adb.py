"""An adb server of the tests' own, so that the user's phones and keys are out of reach."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

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
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self.client.binary, "nodaemon", "server"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environ},
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("the adb server did not start")

    def kill(self) -> None:
        """Cut every link at once."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None
