"""What a phone says of the app: there, not there, or unable to say."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from toolkit.app.driver import app_command, installed_app
from toolkit.devices.base import CommandResult, Device
from toolkit.errors import DeviceNotReady

SHA256 = "ab" * 32


class Shell:
    """This machine's shell with a phone's programs, which are scripts."""

    serial = "R5CT"

    def __init__(self, folder: Path, **programs: str) -> None:
        for name, script in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)
        self._path = f"{folder}:{os.environ['PATH']}"

    def shell(self, argv: Sequence[str], *, timeout_s: float) -> CommandResult:
        environ = {**os.environ, "PATH": self._path}
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=timeout_s)
        return CommandResult(tuple(argv), done.returncode, done.stdout, done.stderr)


def test_an_app_that_is_there_says_its_version(tmp_path: Path) -> None:
    phone = Shell(
        tmp_path,
        pm="echo 'WARNING: linker'; echo package:/data/app/a/base.apk; echo package:/data/app/a/split.apk",
        content="echo 'Result: Bundle[{contract=1, version=0.1.0}]'",
        sha256sum=f'[ "$*" = /data/app/a/base.apk ] && echo "{SHA256}  $1"',
    )
    app = installed_app(cast(Device, phone))
    assert app is not None and (app.version, app.contract, app.sha256) == ("0.1.0", 1, SHA256)


@pytest.mark.parametrize("pm", ["exit 1", "exit 0"])
def test_silence_is_no_app(tmp_path: Path, pm: str) -> None:
    assert installed_app(cast(Device, Shell(tmp_path, pm=pm))) is None


@pytest.mark.parametrize(
    ("pm", "words"),
    [
        ('echo "cmd: Can\'t find service: package" >&2; exit 20', "Can't find service"),
        ("echo 'Failure calling service package: Broken pipe'; exit 224", "Broken pipe"),
        ("exit 127", "no reason given"),
        ("kill -9 $$", "does not say whether"),
    ],
)
def test_a_pm_that_fails_says_nothing_about_the_app(tmp_path: Path, pm: str, words: str) -> None:
    with pytest.raises(DeviceNotReady, match=words):
        installed_app(cast(Device, Shell(tmp_path, pm=pm)))


# `content` of an app whose run has ended, and of one that did not begin it.
ENDED = """case "$*" in
  *"--method state"*) echo "Result: Bundle[{state=0 ok}]" ;;
  *read*result.jsonl*) echo records ;;
esac"""
NO_RUN = ENDED.replace("0 ok", "13 not_started")


@pytest.mark.parametrize("shell", ["sh", "mksh"])
@pytest.mark.parametrize("found", ["Asleep", "Awake"])
@pytest.mark.parametrize(
    ("am", "content", "code"),
    [
        ("echo Status: ok", ENDED, 0),
        ("echo Status: ok", NO_RUN, 13),
        ("echo Error type 3", ENDED, 13),
        ("echo Status: ok", "echo java.lang.SecurityException", 13),
        ("echo Status: ok", 'case "$*" in *write*) echo No space left ;; esac', 8),
        ("echo Status: ok", "", 13),
    ],
)
def test_the_screen_is_left_as_it_was_found(
    shell: str, found: str, am: str, content: str, code: int, tmp_path: Path
) -> None:
    if not shutil.which(shell):
        pytest.skip(f"needs Debian's package {shell}")
    programs, run, screen = tmp_path / "bin", tmp_path / "run", tmp_path / "screen"
    programs.mkdir()
    run.mkdir()
    screen.write_text(found)
    phone = Shell(
        programs,
        am=am,
        content=content,
        dumpsys=f'[ "$1" = activity ] || echo "mWakefulness=$(cat {screen})"',
        input=f'case "$2" in *WAKEUP) echo Awake >{screen} ;; *SLEEP) echo Asleep >{screen} ;; esac',
        sleep="",
        wm="",
    )
    _, *command = app_command("onnxruntime", "activity")
    here = ["sh", "-c", 'cd "$1"; shift; exec "$@"', "there", str(run), shell]
    done = phone.shell([*here, *command, "profile"], timeout_s=20)
    assert (done.returncode, screen.read_text().strip()) == (code, found), done.stderr
