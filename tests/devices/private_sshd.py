"""A Linux board of the tests' own: an sshd on loopback with its own keys and home."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

NAME = "board"
SERIAL = f"ssh:{NAME}"


class Board:
    """An sshd that serves this user only.

    Attributes:
        home: the board's home folder.
        environ: leads ssh, and what the tests start, to the board.
    """

    def __init__(self, folder: Path) -> None:
        for program, package in (("sshd", "openssh-server"), ("ssh", "openssh-client")):
            # sshd is in /usr/sbin, which is not on everybody's PATH.
            if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin"):
                pytest.skip(f"no {program}; Debian's package `{package}` has it")
        self._ssh = shutil.which("ssh")
        self.home = folder / "home"
        self.home.mkdir()
        self._folder = folder
        # Sockets' paths have little room: not below pytest's folder.
        self._runtime = Path(tempfile.mkdtemp(prefix="ssh-"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._sshd: subprocess.Popen[bytes] | None = None
        self._make_keys()
        self._write_server_config()
        self.write_client_config()
        self.environ = {
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "XDG_RUNTIME_DIR": str(self._runtime),
        }

    def start(self) -> None:
        if os.getuid() == 0:
            # sshd's place to be locked up in; the package makes it when its service starts.
            Path("/run/sshd").mkdir(exist_ok=True)
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
        assert sshd
        with (self._folder / "sshd.log").open("ab") as log:
            self._sshd = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(self._folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError((self._folder / "sshd.log").read_text())

    def stop(self) -> None:
        """The power goes: listener and all connections."""
        for pid in self._pids():
            self._signal(pid, signal.SIGKILL)
        if self._sshd:
            self._sshd.wait()
            self._sshd = None

    def freeze(self) -> None:
        for pid in self._pids():
            self._signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._pids():
            self._signal(pid, signal.SIGCONT)

    def remove(self) -> None:
        self.thaw()
        self.disconnect()
        self.stop()
        shutil.rmtree(self._runtime)

    def disconnect(self) -> None:
        """End the client's shared connection."""
        for control in self._runtime.glob("slm-ssh-*/*"):
            subprocess.run(
                ["ssh", "-o", f"ControlPath={control}", "-O", "exit", NAME],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                env={**os.environ, **self.environ},
                timeout=20,
            )

    def write_client_config(self, *, key: str = "id", known: str = "known_hosts") -> None:
        config = f"""Host {NAME}
  HostName 127.0.0.1
  Port {self.port}
  User {getpass.getuser()}
  IdentityFile {self._folder / key}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {self._folder / known}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
Host closed
  HostName 127.0.0.1
  Port 1
"""
        (self._folder / "ssh_config").write_text(config)
        wrapper = self._folder / "bin" / "ssh"
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(f'#!/bin/sh\nexec {self._ssh} -F {self._folder / "ssh_config"} "$@"\n')
        wrapper.chmod(0o755)

    def _make_keys(self) -> None:
        for name in ("host", "id", "stranger"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / name)], check=True
            )
        (self._folder / "authorized_keys").write_text((self._folder / "id.pub").read_text())
        host_key = (self._folder / "host.pub").read_text()
        (self._folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")
        (self._folder / "no_hosts").write_text("")

    def log_in_through(self, command: str) -> None:
        """From the next connection on, sshd runs this in place of the user's login shell.

        Args:
            command: finds what the client asked for in $SSH_ORIGINAL_COMMAND.
        """
        self.stop()
        self._write_server_config(f"ForceCommand {command}")
        self.start()

    def _write_server_config(self, more: str = "") -> None:
        (self._folder / "sshd_config").write_text(
            f"""ListenAddress 127.0.0.1
Port {self.port}
HostKey {self._folder / "host"}
AuthorizedKeysFile {self._folder / "authorized_keys"}
AllowUsers {getpass.getuser()}
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
SetEnv HOME={self.home}
{more}
"""
        )

    def _pids(self) -> list[int]:
        """The listener and its connections' processes, not the commands that they run."""
        if not self._sshd:
            return []
        found, parents = [self._sshd.pid], [self._sshd.pid]
        while parents:
            parent = parents.pop()
            for child in _children(parent):
                if _name(child) == "sshd":
                    found.append(child)
                    parents.append(child)
        return found

    @staticmethod
    def _signal(pid: int, number: signal.Signals) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
