"""Verified transfer: proven files under their final name or none, and no needless work."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from toolkit.devices.base import CommandResult, Device
from toolkit.devices.transfer import pull_verified, push_folder_verified, push_verified
from toolkit.errors import DeviceFull, TransferFailed
from toolkit.progress import ProgressCallback, silent

ARTIFACT_BYTES = 92_000_000


@dataclass(frozen=True)
class Entry:
    path: str
    size_bytes: int
    sha256: str


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def entries_of(folder: Path) -> list[Entry]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [Entry(str(f.relative_to(folder)), f.stat().st_size, sha256_of(f)) for f in files]


class Recording:
    """A device that remembers what was asked of it."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.serial, self.workdir = device.serial, device.workdir
        self.push_piece_bytes = device.push_piece_bytes
        self.info, self.readings, self.lock = device.info, device.readings, device.lock
        self.pull = device.pull
        self.free_space: Callable[[], int] = device.free_space
        self.shells = 0
        self.pushed: list[str] = []

    def shell(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float,
        on_stdout_line: Callable[[str], None] | None = None,
    ) -> CommandResult:
        self.shells += 1
        return self._device.shell(argv, timeout_s=timeout_s, on_stdout_line=on_stdout_line)

    def push(self, local: Path, remote: str, *, progress: ProgressCallback = silent) -> None:
        self.pushed.append(remote)
        self._device.push(local, remote, progress=progress)


@pytest.fixture
def recording(device: Device) -> Recording:
    return Recording(device)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    (folder / "sub").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(os.urandom(300_000))
    (folder / "sub" / "it's $(here); ok").write_bytes(b"nasty")
    (folder / "empty").write_bytes(b"")
    return folder


def remote_names(device: Device) -> list[str]:
    found = device.shell(["find", device.workdir, "-type", "f"], timeout_s=10).stdout.split("\n")
    return sorted(name.removeprefix(f"{device.workdir}/") for name in found if name)


def test_a_folder_arrives_and_the_second_push_is_one_call(recording: Recording, folder: Path) -> None:
    target = f"{recording.workdir}/target dir"
    entries = entries_of(folder)
    assert push_folder_verified(recording, folder, entries, target) == [entry.path for entry in entries]
    for entry in entries:
        hashed = recording.shell(["sha256sum", f"{target}/{entry.path}"], timeout_s=10)
        assert hashed.stdout.lstrip("\\")[:64] == entry.sha256
    recording.shells, recording.pushed = 0, []
    assert push_folder_verified(recording, folder, entries, target) == []
    assert (recording.shells, recording.pushed) == (1, [])


def test_only_what_changed_travels_again(recording: Recording, folder: Path) -> None:
    push_folder_verified(recording, folder, entries_of(folder), recording.workdir)
    (folder / "model.onnx").write_bytes(os.urandom(300_000))
    assert push_folder_verified(recording, folder, entries_of(folder), recording.workdir) == ["model.onnx"]


def test_more_files_than_fit_one_command_line(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.devices.proof.FILES_PER_CALL", 3)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(7):
        (folder / f"file-{number}").write_bytes(b"same")
    entries = entries_of(folder)
    present = [entries[0], entries[4]]
    push_folder_verified(recording, folder, present, recording.workdir)
    travelled = push_folder_verified(recording, folder, entries, recording.workdir)
    assert travelled == [entry.path for entry in entries if entry not in present]


def test_a_changed_byte_on_the_device_is_noticed_despite_the_receipt(device: Device, tmp_path: Path) -> None:
    local, remote = tmp_path / "file", f"{device.workdir}/file"
    local.write_bytes(b"right bytes")
    sha256 = sha256_of(local)
    push_verified(device, local, remote, sha256=sha256)
    # Longer than the receipt's one-second clock, so that the change shows.
    device.shell(["sh", "-c", 'sleep 1.1; printf "wrong bytes" > "$1"', "sh", remote], timeout_s=10)
    assert push_verified(device, local, remote, sha256=sha256) == "pushed"
    assert device.shell(["cat", remote], timeout_s=10).stdout == "right bytes"


def test_a_receipt_that_no_longer_fits_costs_a_hash_but_no_push(device: Device, tmp_path: Path) -> None:
    local, remote = tmp_path / "file", f"{device.workdir}/file"
    local.write_bytes(b"content")
    sha256 = sha256_of(local)
    push_verified(device, local, remote, sha256=sha256)
    device.shell(["rm", f"{device.workdir}/.file.sha256-receipt"], timeout_s=10)
    assert push_verified(device, local, remote, sha256=sha256) == "unchanged"
    assert remote_names(device) == [".file.sha256-receipt", "file"]


@pytest.mark.parametrize("receipt", ["", "garbage", "{sha} 7 1 1", "{sha} 0 0 0", "{sha}"])
def test_a_forged_receipt_does_not_pass_for_a_proof(device: Device, tmp_path: Path, receipt: str) -> None:
    local, remote = tmp_path / "file", f"{device.workdir}/file"
    local.write_bytes(b"content")
    (tmp_path / "other").write_bytes(b"CONTENT")
    device.push(tmp_path / "other", remote)
    sha256 = sha256_of(local)
    forged = receipt.replace("{sha}", sha256)
    script = 'echo "$1" > "$2"'
    device.shell(["sh", "-c", script, "sh", forged, f"{device.workdir}/.file.sha256-receipt"], timeout_s=10)
    assert push_verified(device, local, remote, sha256=sha256) == "pushed"
    assert device.shell(["cat", remote], timeout_s=10).stdout == "content"


def test_a_local_file_that_is_not_what_its_hash_says_leaves_nothing(device: Device, tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(b"changed behind the manifest's back")
    with pytest.raises(TransferFailed, match="sha256"):
        push_verified(device, local, f"{device.workdir}/file", sha256="0" * 64)
    assert remote_names(device) == []


def test_a_failed_push_keeps_the_file_that_was_there(device: Device, tmp_path: Path) -> None:
    local, remote = tmp_path / "file", f"{device.workdir}/file"
    local.write_bytes(b"old")
    push_verified(device, local, remote, sha256=sha256_of(local))
    local.write_bytes(b"new")
    with pytest.raises(TransferFailed):
        push_verified(device, local, remote, sha256="0" * 64)
    assert device.shell(["cat", remote], timeout_s=10).stdout == "old"


def test_a_full_device_is_noticed_before_anything_is_sent(
    recording: Recording, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.devices.proof.parse_df_free_bytes", lambda text: 1000)
    with pytest.raises(DeviceFull, match=recording.serial):
        push_folder_verified(recording, folder, entries_of(folder), recording.workdir)
    assert recording.pushed == []


def test_ctrl_c_leaves_no_part(device: Device, tmp_path: Path) -> None:
    local = tmp_path / "file"
    local.write_bytes(bytes(1_000_000))

    def interrupt(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push_verified(device, local, f"{device.workdir}/file", sha256=sha256_of(local), progress=interrupt)
    assert remote_names(device) == []


def test_progress_counts_all_files_together(device: Device, folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    push_folder_verified(
        device, folder, entries_of(folder), device.workdir, progress=lambda *step: seen.append(step)
    )
    assert seen[-1] == (300_005, 300_005)
    assert seen == sorted(seen)


def test_an_unchanged_artifact_of_92_mb_takes_less_than_a_second(device: Device, tmp_path: Path) -> None:
    local, remote = tmp_path / "model.onnx.data", f"{device.workdir}/model.onnx.data"
    with local.open("wb") as file:
        file.truncate(ARTIFACT_BYTES)
    sha256 = sha256_of(local)
    assert push_verified(device, local, remote, sha256=sha256) == "pushed"
    # The machine is shared: what counts is what it takes at its best.
    durations = []
    for _ in range(3):
        started = time.monotonic()
        assert push_verified(device, local, remote, sha256=sha256) == "unchanged"
        durations.append(time.monotonic() - started)
    assert min(durations) < 1.0


def test_a_pulled_file_is_proven(device: Device, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"result")
    device.push(tmp_path / "file", f"{device.workdir}/new\nline")
    sha256 = pull_verified(device, f"{device.workdir}/new\nline", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"result"
    assert sha256 == sha256_of(tmp_path / "back")


def test_a_pull_that_brought_other_bytes_leaves_nothing(recording: Recording, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"result")
    recording.push(tmp_path / "file", f"{recording.workdir}/file")
    genuine = recording.pull

    def damaged(remote: str, local: Path, *, progress: ProgressCallback = silent) -> None:
        genuine(remote, local, progress=progress)
        local.write_bytes(b"RESULT")

    recording.pull = damaged
    with pytest.raises(TransferFailed, match="sha256"):
        pull_verified(recording, f"{recording.workdir}/file", tmp_path / "back")
    assert not list(tmp_path.glob("back*"))
