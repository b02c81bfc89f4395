"""Phones of before Android 7: their shell has one output for all, and ends lines as a terminal does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from private_adb import AdbServer
from virtual_phones import IMPATIENT, StartPhone

from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.errors import FileAbsent

OLD_ADB = """#!/bin/bash
for word in "$@"; do
  if [ "$word" = shell ]; then
    {adb} "$@" 2>&1 | sed -u 's/$/\\r/'
    exit 0
  fi
done
exec {adb} "$@"
"""


@pytest.fixture
def device(adb_server: AdbServer, start: StartPhone, tmp_path: Path) -> AdbDevice:
    program = tmp_path / "adb"
    program.write_text(OLD_ADB.format(adb=adb_server.client.binary))
    program.chmod(0o755)
    return AdbDevice(start().serial, AdbClient(program), lock_folder=tmp_path, patience=IMPATIENT)


def test_answers_are_those_of_a_new_phone(device: AdbDevice, tmp_path: Path) -> None:
    lines: list[str] = []
    said = device.shell(["sh", "-c", "echo one; echo problem >&2; exit 3"], timeout_s=10,
                        on_stdout_line=lines.append)  # fmt: skip
    # What comes on two pipes has no order; of the old shell's own there is one.
    assert said.returncode == 3 and "one\n" in said.stdout and "\r" not in said.stdout
    assert "one" in lines
    assert device.info().ram_bytes and device.free_space() > 0

    local, remote = tmp_path / "local", f"{device.workdir}/file"
    local.write_bytes(os.urandom(300_000))
    device.push(local, remote)
    device.pull(remote, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == local.read_bytes()


def test_a_file_that_is_not_there_is_absent(device: AdbDevice, tmp_path: Path) -> None:
    with pytest.raises(FileAbsent):
        device.pull(f"{device.workdir}/none", tmp_path / "none")
