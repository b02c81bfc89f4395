"""A model's text on a stdout that cannot say it, that is full or that nobody reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TEXT = "a é 日 🙂\n"
SAY = f"from toolkit.cli.text_output import write_text; write_text({TEXT!r}); write_text('end')"


def say(encoding: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    environment = {"PYTHONIOENCODING": encoding, "PATH": ""}
    return subprocess.run(
        [sys.executable, "-c", SAY],
        env=environment,
        stderr=subprocess.PIPE,
        check=False,
        **({"stdout": subprocess.PIPE} | options),  # type: ignore[call-overload]
    )


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", TEXT.encode()),
        ("ascii", b"a \\xe9 \\u65e5 \\U0001f642\n"),
        ("latin-1", b"a \xe9 \\u65e5 \\U0001f642\n"),
        ("cp1252", b"a \xe9 \\u65e5 \\U0001f642\n"),
    ],
)
def test_characters_that_stdout_lacks_are_written_as_numbers(encoding: str, printed: bytes) -> None:
    done = say(encoding)
    assert (done.returncode, done.stderr, done.stdout) == (0, b"", printed + b"end")


def test_a_stdout_closed_from_the_start_takes_no_text() -> None:
    done = say("utf-8", stdout=None, preexec_fn=lambda: __import__("os").close(1))
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_stdout_is_a_usage_error() -> None:
    with open("/dev/full", "wb") as full:
        done = say("utf-8", stdout=full)
    assert b"UsageError: stdout cannot be written to: No space left" in done.stderr
