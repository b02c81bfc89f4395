"""Large files travel in pieces, and a cut costs one piece."""

from __future__ import annotations

import hashlib
import os
import random
from pathlib import Path

import pytest

from toolkit.devices.base import Device
from toolkit.devices.transfer import push_verified
from toolkit.errors import DeviceFull, DeviceLost, TransferFailed
from toolkit.progress import ProgressCallback, silent

PIECE = 100_000
PIECES = 7


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "it's a model; $(x).data"
    path.write_bytes(random.Random(1).randbytes(PIECE * PIECES - 1234))
    return path


@pytest.fixture
def device(device: Device) -> Device:
    device.push_piece_bytes = PIECE
    return device


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def remote_of(device: Device, local: Path) -> str:
    return f"{device.workdir}/folder/{local.name}"


def part_of(device: Device, local: Path) -> str:
    return f"{remote_of(device, local)}.{sha256_of(local)[:16]}.part"


def names_on(device: Device) -> list[str]:
    listing = device.shell(["ls", "-A", f"{device.workdir}/folder"], timeout_s=10).stdout
    return sorted(name for name in listing.split("\n") if name)


class Pieces:
    """Counts what is pushed, and breaks the link in the middle of one piece."""

    def __init__(self, device: Device, *, break_at: int | None = None) -> None:
        self.pushed: list[str] = []
        self._push = device.push
        self._break_at = break_at
        device.push = self.push  # type: ignore[method-assign]

    def push(self, local: Path, remote: str, *, progress: ProgressCallback = silent) -> None:
        self.pushed.append(remote)
        if len(self.pushed) == self._break_at:
            raise DeviceLost("cut", serial="x")
        self._push(local, remote, progress=progress)


def test_it_arrives_whole_and_leaves_nothing_else(device: Device, local: Path) -> None:
    seen: list[tuple[int, int]] = []
    remote = remote_of(device, local)
    outcome = push_verified(
        device, local, remote, sha256=sha256_of(local), progress=lambda *step: seen.append(step)
    )
    assert outcome == "pushed"
    assert names_on(device) == sorted([local.name, f".{local.name}.sha256-receipt"])
    hashed = device.shell(["sha256sum", remote], timeout_s=10).stdout.lstrip("\\")
    assert hashed[:64] == sha256_of(local)
    size = local.stat().st_size
    assert seen[-1] == (size, size) and seen == sorted(seen)
    assert push_verified(device, local, remote, sha256=sha256_of(local)) == "unchanged"


def test_small_files_travel_in_one_piece(device: Device, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.write_bytes(os.urandom(2 * PIECE))
    pieces = Pieces(device)
    push_verified(device, small, remote_of(device, small), sha256=sha256_of(small))
    assert pieces.pushed == [f"{remote_of(device, small)}.part"]


@pytest.mark.parametrize("broken", [1, 2, 4, PIECES])
def test_after_a_cut_only_the_missing_pieces_travel(device: Device, local: Path, broken: int) -> None:
    remote, push = remote_of(device, local), device.push
    Pieces(device, break_at=broken)
    with pytest.raises(DeviceLost):
        push_verified(device, local, remote, sha256=sha256_of(local))
    assert local.name not in names_on(device)
    device.push = push  # type: ignore[method-assign]
    pieces = Pieces(device)
    assert push_verified(device, local, remote, sha256=sha256_of(local)) == "pushed"
    assert len(pieces.pushed) == PIECES - broken + 1
    assert names_on(device) == sorted([local.name, f".{local.name}.sha256-receipt"])


def write_part(device: Device, local: Path, content: bytes) -> None:
    """What an interrupted push left."""
    beginning = local.with_name("beginning")
    beginning.write_bytes(content)
    device.push(beginning, part_of(device, local))


@pytest.mark.parametrize("torn_bytes", [1, PIECE - 1])
def test_an_append_that_was_cut_short_is_done_again(device: Device, local: Path, torn_bytes: int) -> None:
    write_part(device, local, local.read_bytes()[: 3 * PIECE + torn_bytes])
    pieces = Pieces(device)
    push_verified(device, local, remote_of(device, local), sha256=sha256_of(local))
    assert len(pieces.pushed) == PIECES - 3


def test_pieces_that_lost_their_bytes_are_sent_again_without_being_asked(device: Device, local: Path) -> None:
    write_part(device, local, bytes(3 * PIECE))
    pieces = Pieces(device)
    assert push_verified(device, local, remote_of(device, local), sha256=sha256_of(local)) == "pushed"
    assert len(pieces.pushed) == PIECES - 3 + PIECES
    assert device.shell(["sha256sum", remote_of(device, local)], timeout_s=10).returncode == 0


def test_a_longer_part_than_the_file_is_not_believed(device: Device, local: Path) -> None:
    write_part(device, local, local.read_bytes() + bytes(5 * PIECE))
    assert push_verified(device, local, remote_of(device, local), sha256=sha256_of(local)) == "pushed"


def test_a_part_that_is_whole_only_needs_its_name(device: Device, local: Path) -> None:
    write_part(device, local, local.read_bytes())
    pieces = Pieces(device)
    assert push_verified(device, local, remote_of(device, local), sha256=sha256_of(local)) == "pushed"
    assert pieces.pushed == []


def test_parts_of_other_contents_are_removed(device: Device, local: Path) -> None:
    write_part(device, local, local.read_bytes()[:PIECE])
    local.write_bytes(random.Random(2).randbytes(PIECE * PIECES))
    push_verified(device, local, remote_of(device, local), sha256=sha256_of(local))
    assert names_on(device) == sorted([local.name, f".{local.name}.sha256-receipt"])


def test_a_local_file_that_is_not_what_its_hash_says_leaves_nothing(device: Device, local: Path) -> None:
    with pytest.raises(TransferFailed, match="sha256"):
        push_verified(device, local, remote_of(device, local), sha256="0" * 64)
    assert names_on(device) == []


def test_ctrl_c_keeps_whole_pieces_only(device: Device, local: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > 2.5 * PIECE:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push_verified(device, local, remote_of(device, local), sha256=sha256_of(local), progress=interrupt)
    assert names_on(device) == [part_of(device, local).rpartition("/")[2]]
    pieces = Pieces(device)
    push_verified(device, local, remote_of(device, local), sha256=sha256_of(local))
    assert 3 <= len(pieces.pushed) <= PIECES - 2


def test_the_space_for_one_piece_more_is_asked_for(
    device: Device, local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free_bytes = local.stat().st_size + (16 << 20) + PIECE // 2
    monkeypatch.setattr("toolkit.devices.proof.parse_df_free_bytes", lambda text: free_bytes)
    with pytest.raises(DeviceFull):
        push_verified(device, local, remote_of(device, local), sha256=sha256_of(local))
