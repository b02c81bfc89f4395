"""Connections that break at random byte offsets: a typed error or a right result, never a wrong one."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from virtual_phones import IMPATIENT, OpenPhone, StartPhone

from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.transfer import push_verified
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.errors import DeviceError, DeviceNotReady, VirtualPhoneFailed

# Push, command and pull together move about five times as much.
FILE_BYTES = 40_000
CUTS = 210
PHONES = 3
# Of one call in a row; several short cuts may follow each other.
MOST_FAILURES = 60
# A call on a connection that breaks, and getting it back.
LONGEST_CALL_S = 4 * IMPATIENT.call_s + IMPATIENT.stall_s


def cuts_of(seed: int, count: int) -> tuple[int, ...]:
    """Offsets of all sizes: within a handshake, a service's first packets, a file."""
    chance = random.Random(seed)
    return tuple(int(10 ** chance.uniform(1.5, 5.3)) for _ in range(count))


def cuts_seen(phone: VirtualPhone) -> int:
    return (Path(phone.folder) / "log.txt").read_text().count("cut after")


class Attempts:
    """Repeats calls on one phone until they succeed, and sees to it that each failure is a proper one."""

    def __init__(self, phone: VirtualPhone, client: AdbClient) -> None:
        self._phone = phone
        self._client = client
        self.failures = 0

    def until_done(self, call: Callable[[], None]) -> None:
        for _ in range(MOST_FAILURES):
            started = time.monotonic()
            try:
                return call()
            except DeviceError as error:
                assert error.serial == self._phone.serial and str(error)
                assert time.monotonic() - started < LONGEST_CALL_S
                self.failures += 1
                self.reconnect()
        raise AssertionError(f"{call} never succeeds")

    def reconnect(self) -> None:
        # The connection may be cut while it is made.
        for _ in range(50):
            try:
                return bring_online(self._phone, self._client, timeout_s=2)
            except (DeviceNotReady, VirtualPhoneFailed):
                continue
        raise AssertionError("the phone does not come back")


@dataclass(frozen=True)
class Round:
    """One file's way to the phone and back; each step may be repeated."""

    device: AdbDevice
    folder: Path
    remote: str
    on_phone: Path
    content: bytes
    before: bytes | None

    def push(self) -> None:
        (self.folder / "there").write_bytes(self.content)
        try:
            push_verified(
                self.device,
                self.folder / "there",
                self.remote,
                sha256=hashlib.sha256(self.content).hexdigest(),
            )
        except DeviceError:
            # What was there, or what was pushed: never anything else.
            assert read(self.on_phone) in (self.before, self.content)
            raise

    def pull(self) -> None:
        back = self.folder / "back"
        back.unlink(missing_ok=True)
        try:
            self.device.pull(self.remote, back)
        except DeviceError:
            assert not back.exists()
            raise
        assert back.read_bytes() == self.content

    def print(self) -> None:
        text = f"{len(self.content)} {self.content[:9].hex()}\n" * (1 + self.content[0])
        assert self.device.shell(["printf", "%s", text], timeout_s=3).stdout == text


def read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def suffer(phone: VirtualPhone, device: AdbDevice, attempts: Attempts, folder: Path, cuts: int) -> None:
    """Work until all cuts have happened."""
    chance = random.Random(phone.name)
    number = 0
    while cuts_seen(phone) < cuts:
        number += 1
        remote = f"{device.workdir}/file-{number % 3}"
        on_phone = phone.root / remote[1:]
        turn = Round(device, folder, remote, on_phone, chance.randbytes(FILE_BYTES), read(on_phone))
        attempts.until_done(turn.push)
        assert read(on_phone) == turn.content
        attempts.until_done(turn.print)
        attempts.until_done(turn.pull)


def run_cuts(
    start: StartPhone, open_phone: OpenPhone, client: AdbClient, folder: Path, *, seed: int, cuts: int
) -> None:
    share = -(-cuts // PHONES)
    phones = [
        start(
            f"cut-{seed}-{number}",
            online=False,
            faults=Faults(cuts_after_bytes=cuts_of(seed + number, share)),
        )
        for number in range(PHONES)
    ]

    def one(phone: VirtualPhone) -> int:
        own = folder / phone.name
        own.mkdir()
        attempts = Attempts(phone, client)
        attempts.reconnect()
        suffer(phone, open_phone(phone), attempts, own, share)
        return attempts.failures

    with ThreadPoolExecutor(PHONES) as pool:
        failures = sum(pool.map(one, phones))
    assert sum(map(cuts_seen, phones)) >= cuts
    # Some cuts fall between calls, where adb mends them unseen.
    assert failures > cuts / 4


def test_hundreds_of_cuts_at_seeded_offsets_lose_and_forge_nothing(
    start: StartPhone, open_phone: OpenPhone, adb_client: AdbClient, tmp_path: Path
) -> None:
    run_cuts(start, open_phone, adb_client, tmp_path, seed=20261122, cuts=CUTS)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(1000, 1010))
@pytest.mark.parametrize("adb_server", ["path", "wheel"], indirect=True)
def test_thousands_of_cuts(
    start: StartPhone, open_phone: OpenPhone, adb_client: AdbClient, tmp_path: Path, seed: int
) -> None:
    run_cuts(start, open_phone, adb_client, tmp_path, seed=seed, cuts=600)
