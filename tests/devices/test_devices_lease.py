"""The lease on the device between two hosts: each host is a lock folder of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from virtual_phones import IMPATIENT, StartPhone

from toolkit.devices import lease as lease_module
from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.lease import host_id
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.errors import DeviceBusy, DeviceFull

LEASE = "data/local/tmp/slm-toolkit/lease"
OpenFrom = Callable[[str], AdbDevice]


@pytest.fixture
def open_from(adb_client: AdbClient, shared_phone: VirtualPhone, tmp_path: Path) -> Iterator[OpenFrom]:
    """Opens one phone from hosts of different names."""
    yield lambda host: AdbDevice(
        shared_phone.serial, adb_client, lock_folder=tmp_path / host, patience=IMPATIENT
    )
    (shared_phone.root / LEASE).unlink(missing_ok=True)


def test_a_second_host_is_told_who_holds_the_phone_and_for_how_long(open_from: OpenFrom) -> None:
    with open_from("a").lock():
        with pytest.raises(DeviceBusy, match=r"@.*process \d+.*ends in \d+ s") as raised:
            with open_from("b").lock():
                pass
    assert raised.value.serial and "slm devices release --device" in str(raised.value)
    with open_from("b").lock():
        pass


def test_the_lease_is_gone_when_the_work_is_done_or_failed(
    open_from: OpenFrom, shared_phone: VirtualPhone
) -> None:
    with pytest.raises(ZeroDivisionError), open_from("a").lock():
        assert (shared_phone.root / LEASE).exists()
        raise ZeroDivisionError
    assert not (shared_phone.root / LEASE).exists()


def leave_lease(open_from: OpenFrom, phone: VirtualPhone, host: str) -> list[str]:
    """What a host that dies leaves: its lease, as lines."""
    with open_from(host).lock():
        text = (phone.root / LEASE).read_text()
    (phone.root / LEASE).write_text(text)
    return text.splitlines()


def test_the_same_host_takes_over_from_its_dead_process_at_once(
    open_from: OpenFrom, shared_phone: VirtualPhone
) -> None:
    leave_lease(open_from, shared_phone, "a")
    with pytest.raises(DeviceBusy), open_from("b").lock():
        pass
    with open_from("a").lock():
        pass


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (3, "1"),  # ended
        (2, "99999999999"),  # taken "later" than now: the phone was restarted
        (4, "another-boot"),
        (3, "soon"),
        (2, ""),
    ],
)
def test_a_lease_that_ended_or_cannot_be_read_holds_nothing(
    open_from: OpenFrom, shared_phone: VirtualPhone, line: int, value: str
) -> None:
    lines = leave_lease(open_from, shared_phone, "a")
    lines[line] = value
    (shared_phone.root / LEASE).write_text("\n".join(lines) + "\n")
    with open_from("b").lock():
        pass


@pytest.mark.parametrize("text", ["", "\n\n\n", "garbage", "\0" * 100])
def test_a_torn_lease_holds_nothing(open_from: OpenFrom, shared_phone: VirtualPhone, text: str) -> None:
    (shared_phone.root / LEASE).write_text(text)
    with open_from("b").lock():
        pass


def test_it_is_renewed_before_a_long_call_and_not_in_between(
    open_from: OpenFrom, shared_phone: VirtualPhone
) -> None:
    device = open_from("a")
    lease = shared_phone.root / LEASE
    with device.lock():
        at_first = lease.read_text()
        device.shell(["true"], timeout_s=10)
        assert lease.read_text() == at_first
        device.shell(["true"], timeout_s=1000)
        taken, ends = map(int, lease.read_text().split("\n")[2:4])
        assert ends - taken == 1000 + lease_module.LEASE_S


def test_work_stops_when_another_host_has_taken_over(open_from: OpenFrom, shared_phone: VirtualPhone) -> None:
    device = open_from("a")
    with ExitStack() as others:
        with device.lock():
            open_from("b").release()
            others.enter_context(open_from("b").lock())
            with pytest.raises(DeviceBusy):
                device.shell(["true"], timeout_s=1000)
        # The end of a's work does not end b's lease.
        assert (shared_phone.root / LEASE).exists()


def test_release_frees_a_phone_whose_host_is_gone(open_from: OpenFrom, shared_phone: VirtualPhone) -> None:
    leave_lease(open_from, shared_phone, "a")
    open_from("b").release()
    with open_from("b").lock():
        pass


def test_a_phone_without_any_space_says_so(start: StartPhone, adb_client: AdbClient, tmp_path: Path) -> None:
    from toolkit.devices.virtual.faults import Faults

    phone = start(faults=Faults(space_bytes=1 << 20))
    device = AdbDevice(phone.serial, adb_client, lock_folder=tmp_path, patience=IMPATIENT)
    device.shell(["sh", "-c", "yes > /data/filler"], timeout_s=20)
    with pytest.raises(DeviceFull, match=phone.serial), device.lock():
        pass


def test_hosts_that_ask_at_the_same_time_get_it_one_at_a_time(
    adb_client: AdbClient, shared_phone: VirtualPhone, tmp_path: Path
) -> None:
    script = """
import sys, pathlib
from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.errors import DeviceBusy
device = AdbDevice(sys.argv[1], AdbClient(pathlib.Path(sys.argv[2])), lock_folder=pathlib.Path(sys.argv[3]))
sys.stdin.readline()
try:
    with device.lock():
        print("held", flush=True)
        sys.stdin.readline()
except DeviceBusy:
    print("busy", flush=True)
"""
    hosts = [
        subprocess.Popen(
            [sys.executable, "-c", script, shared_phone.serial, str(adb_client.binary), str(tmp_path / name)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        for name in "abcd"
    ]
    for host in hosts:
        assert host.stdin
        host.stdin.write("go\n")
        host.stdin.flush()
    answers = [host.stdout.readline().strip() for host in hosts if host.stdout]
    for host in hosts:
        host.communicate("done\n", timeout=20)
    assert sorted(answers) == ["busy", "busy", "busy", "held"]


def test_a_host_that_died_while_it_took_the_lease_keeps_nobody_out(
    adb_client: AdbClient, shared_phone: VirtualPhone, tmp_path: Path
) -> None:
    guard = (shared_phone.root / LEASE).with_name(".lease.taking")
    guard.mkdir(parents=True)
    with AdbDevice(shared_phone.serial, adb_client, lock_folder=tmp_path).lock():
        assert (shared_phone.root / LEASE).exists()
    assert not guard.exists()


def test_a_hosts_id_is_made_once(tmp_path: Path) -> None:
    assert host_id(tmp_path / "a") == host_id(tmp_path / "a") != host_id(tmp_path / "b")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["host-id"]
