"""`slm --install-completion` in real shells: what a press of the Tab key does in a new terminal."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest


class Terminal:
    """An interactive shell, seen through its terminal."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def wait_for(self, text: str, timeout_s: float = 60) -> None:
        end = time.monotonic() + timeout_s
        while text not in self.seen:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"no {text!r} in {self.seen!r}"
            self.seen += os.read(self._ours, 4096).decode(errors="replace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._ours)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_tab_key_completes_commands_and_options(shell: str, tmp_path: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs Debian's package `{shell}`")
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TERM": "xterm",
        "LANG": "C.UTF-8",
    }
    # The shell that asks is found among the parents of the process.
    install = subprocess.run(
        [shell, "-c", "slm --install-completion; true"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert f"{shell} completion installed" in install.stdout, install.stderr
    terminal = Terminal([shell, "-i"], environment)
    try:
        # Not what is typed, but what comes of it; then the prompt behind it.
        terminal.type("PROMPT=go''on; PS1=go''on\n")
        terminal.wait_for("goon")
        terminal.seen = ""
        # typer's script for zsh only makes itself known when it is asked for the first time.
        terminal.type("slm autot\t" + ("\t" if shell == "zsh" else ""))
        terminal.wait_for("une")
        terminal.type(" --max-l\t")
        terminal.wait_for("oss")
    finally:
        terminal.close()
