"""What a phone's shell does differently: mksh has 32 bits for a number, and keeps what exec opens to itself.

A virtual phone has busybox, so the device's scripts run here on mksh itself.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from toolkit.devices import resume
from toolkit.devices.base import CommandResult
from toolkit.devices.lease import Lease
from toolkit.devices.local import LocalDevice
from toolkit.devices.transfer import push_verified
from toolkit.errors import DeviceBusy
from toolkit.settings import Settings


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalDevice:
    """This machine, with Android's shell as its `sh`."""
    mksh = shutil.which("mksh")
    if mksh is None:
        pytest.skip("no mksh; Debian's package `mksh` brings it")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sh").symlink_to(mksh)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    settings = Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", store_url="sqlite://")
    opened = LocalDevice(settings)
    opened.push_piece_bytes = 64 << 20
    printed = opened.shell(["sh", "-c", "echo $((1 << 31))"], timeout_s=10).stdout
    assert printed == "-2147483648\n", "this is not Android's shell"
    return opened


def test_a_part_of_more_than_two_gigabytes_is_gone_on_from(device: LocalDevice, tmp_path: Path) -> None:
    part = resume.resumable_part(str(tmp_path / "model.data"), "0" * 64)
    with open(part, "wb") as file:
        file.truncate((3 << 30) + 5)
    assert resume._begin(device, part, 256 << 20, 4 << 30) == 3 << 30
    assert os.stat(part).st_size == 3 << 30


def test_a_file_is_hashed_while_it_arrives_and_known_the_next_time(
    device: LocalDevice, tmp_path: Path
) -> None:
    local, remote = tmp_path / "local", f"{device.workdir}/file"
    local.write_bytes(os.urandom(17 << 20))
    sha256 = hashlib.sha256(local.read_bytes()).hexdigest()
    assert push_verified(device, local, remote, sha256=sha256) == "pushed"
    assert Path(remote).read_bytes() == local.read_bytes()
    assert push_verified(device, local, remote, sha256=sha256) == "unchanged"


def test_a_lease_is_taken_under_its_lock(device: LocalDevice, tmp_path: Path) -> None:
    said: list[str] = []

    def run(argv: Sequence[str], timeout_s: float) -> CommandResult:
        result = device.shell(argv, timeout_s=timeout_s)
        said.append(result.stderr)
        return result

    folder = str(tmp_path / "leases")
    first, second = (Lease(run, folder, serial="local", host=host, call_s=10) for host in ("a", "b"))
    first.cover(60)
    with pytest.raises(DeviceBusy):
        second.cover(60)
    first.release()
    second.cover(60)
    assert "".join(said) == ""
