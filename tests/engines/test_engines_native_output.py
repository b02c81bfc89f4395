"""Native libraries' chatter is kept away from the terminal, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from toolkit.engines.native_output import without_lines


def test_lines_of_a_kind_are_left_out_and_all_others_come(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError), without_lines(b"[cpu"):
        os.write(2, b"[cpu.cpp:1] no such file\nan error\n[cpu.cpp:2] no")
        raise ValueError
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "an error\nafter\n"


def test_a_closed_stderr_is_no_error() -> None:
    code = (
        "import os, sys\nfrom toolkit.engines.native_output import without_lines\n"
        "os.close(2)\nsys.stderr = None\nwith without_lines(b'x'): print('done')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"
