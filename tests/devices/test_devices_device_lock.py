"""The per-serial lock between processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from toolkit.devices.device_lock import device_lock
from toolkit.errors import DeviceBusy

HOLD = """
import sys, pathlib
from toolkit.devices.device_lock import device_lock
with device_lock(pathlib.Path(sys.argv[1]), sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_another_process_is_named_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), "R58"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DeviceBusy, match=f"R58.*process {holder.pid}") as raised:
            with device_lock(tmp_path, "R58"):
                pass
        assert raised.value.next_step
        with device_lock(tmp_path, "R58-2"):
            pass
        holder.kill()
        holder.wait()
    with device_lock(tmp_path, "R58"):
        pass


@pytest.mark.parametrize("serial", ["127.0.0.1:5555", "../../etc/passwd", "a/b", "with space", "ü\n"])
def test_any_serial_makes_one_file_inside_the_folder(tmp_path: Path, serial: str) -> None:
    with device_lock(tmp_path, serial):
        pass
    assert [path.parent for path in tmp_path.rglob("*")] == [tmp_path]


def test_similar_serials_do_not_share_a_lock(tmp_path: Path) -> None:
    with device_lock(tmp_path, "127.0.0.1:5555"), device_lock(tmp_path, "127.0.0.1_5555"):
        pass
