"""`slm chat` on a terminal: Ctrl-C reaches everything in front of it, and stops an answer only."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_artifact import make_artifact
from tiny_decoder import TinyDecoder

from toolkit.artifact import Artifact
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.settings import Settings

# So many tokens take seconds: long enough to be interrupted.
LONG = 60_000
LONGEST_WAIT_S = 120


class Terminal:
    """A program with a terminal of its own."""

    def __init__(self, *arguments: str, environ: dict[str, str]) -> None:
        self._end, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "toolkit.cli.main", *arguments],
            stdin=other,
            stdout=other,
            stderr=other,
            env={**os.environ, **environ, "TERM": "dumb"},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(other)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._end, text.encode())

    def wait_for(self, pattern: str) -> str:
        """What is shown up to the first match; it is taken away."""
        deadline = time.monotonic() + LONGEST_WAIT_S
        while not (found := re.search(pattern, self.shown)):
            assert time.monotonic() < deadline, self.shown[-2000:]
            if select.select([self._end], [], [], 1)[0]:
                try:
                    self.shown += os.read(self._end, 65536).decode(errors="replace")
                except OSError:
                    raise AssertionError(f"it ended: {self.shown[-2000:]}") from None
        before, self.shown = self.shown[: found.end()], self.shown[found.end() :]
        return before

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)


@pytest.fixture
def talk(phone: VirtualPhone, settings: Settings, tmp_path: Path) -> Iterator[Terminal]:
    artifact: Artifact = make_artifact(
        tmp_path / "long", TinyDecoder(context_length=LONG), context_length=LONG
    )
    # Nothing but Ctrl-C ends an answer.
    (artifact.path / "generation_config.json").write_text('{"eos_token_id": []}')
    environ = {"SLM_CACHE_DIR": str(settings.cache_dir), "SLM_DATA_DIR": str(settings.data_dir)}
    arguments = ("chat", str(artifact.path), "-d", phone.serial, "-n", str(LONG))
    terminal = Terminal(*arguments, environ=environ)
    yield terminal
    terminal.close()


# How long an answer takes to be interrupted in depends on the machine's load.
@pytest.mark.soak
def test_ctrl_c_stops_the_answer_and_not_the_chat(talk: Terminal, tmp_path: Path) -> None:
    talk.wait_for("/help lists")
    talk.wait_for("> ")
    for number in (5, 6):
        talk.type(f"w{number}\n")
        # Of the answer: what was typed is shown as well.
        talk.wait_for(rf"w{number}\r\n.*w\d+.*w\d+")
        talk.type("\x03")
        talk.wait_for("stopped\r\n")
        talk.wait_for("> ")
    talk.type("/nonsense\n")
    talk.wait_for("is no command")
    talk.type(f"/save {tmp_path}/no/such/folder\n")
    talk.wait_for("cannot be written")
    saved = tmp_path / "talk.json"
    talk.type(f"/save {saved}\n")
    talk.wait_for("saved 4 messages")
    # Nothing is under way: once says how to end, once more ends.
    talk.wait_for("> ")
    talk.type("\x03")
    talk.wait_for("Ctrl-C once more")
    talk.type("\x03")
    assert talk.process.wait(60) == 0
