"""Several devices at once: in parallel, apart from each other, and interruptible."""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from private_adb import AdbServer
from runs import ENDLESS_FLAGS, SMALL_FLAGS, runner_pids, wait_for
from slm_process import SlmProcess
from virtual_phones import running_phone

from toolkit.artifact import Artifact
from toolkit.devices.parallel import Outcome, on_each_device
from toolkit.devices.process import run_process
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import DeviceLost
from toolkit.settings import Settings
from toolkit.store import open_store


def ignore(outcome: Outcome[str]) -> None:
    pass


class TestOnEachDevice:
    def test_devices_work_at_the_same_time_and_come_back_in_order(self) -> None:
        meeting = threading.Barrier(3, timeout=20)

        def work(serial: str) -> str:
            meeting.wait()
            return serial.upper()

        outcomes = on_each_device(["a", "b", "c"], work, on_done=ignore)
        assert [(outcome.serial, outcome.result) for outcome in outcomes] == [
            ("a", "A"),
            ("b", "B"),
            ("c", "C"),
        ]

    def test_this_machine_is_measured_alone_after_the_others(self) -> None:
        order: list[str] = []
        on_each_device(["local", "a", "b"], lambda serial: serial, on_done=lambda o: order.append(o.serial))
        assert sorted(order[:2]) == ["a", "b"] and order[2] == "local"

    def test_an_error_is_one_devices_outcome(self) -> None:
        def work(serial: str) -> str:
            if serial == "b":
                raise DeviceLost("gone", serial=serial)
            return serial

        outcomes = on_each_device(["a", "b", "c"], work, on_done=ignore)
        assert [outcome.result for outcome in outcomes] == ["a", None, "c"]
        assert isinstance(outcomes[1].error, DeviceLost)

    def test_a_bug_is_raised_once_the_others_are_done(self) -> None:
        done: list[str] = []

        def work(serial: str) -> str:
            if serial == "a":
                raise ZeroDivisionError
            time.sleep(0.3)
            return serial

        with pytest.raises(ZeroDivisionError):
            on_each_device(["a", "b"], work, on_done=lambda outcome: done.append(outcome.serial))
        assert done == ["b"]

    def test_ctrl_c_reaches_every_device_which_may_then_clean_up(self) -> None:
        cleaned: list[str] = []
        both_run = threading.Barrier(3, timeout=20)

        def work(serial: str) -> str:
            both_run.wait()
            try:
                run_process(["sleep", "60"], timeout_s=60)
            except KeyboardInterrupt:
                # Delivered once: cleaning up, which waits for processes as well, is not interrupted.
                run_process(["true"], timeout_s=10)
                cleaned.append(serial)
                raise
            return serial

        def press() -> None:
            both_run.wait()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threading.Thread(target=press).start()
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            on_each_device(["a", "b"], work, on_done=ignore)
        assert sorted(cleaned) == ["a", "b"]
        assert time.monotonic() - started < 10


@pytest.fixture
def three_phones(adb_server: AdbServer, phones_home: Settings) -> Iterator[list[VirtualPhone]]:
    """Two healthy phones, and between them one that dies while it is pushed to."""
    faults = [Faults(), Faults(die_after_bytes=3_000_000), Faults()]
    with ExitStack() as stack:
        yield [
            stack.enter_context(
                running_phone(
                    adb_server.client, phones_home, PhoneSpec(f"fleet-{number}", model="V", faults=fault)
                )
            )
            for number, fault in enumerate(faults)
        ]


def test_a_phone_that_dies_does_not_touch_the_results_of_those_beside_it(
    slm: SlmProcess, three_phones: list[VirtualPhone], artifact: Artifact, settings: Settings
) -> None:
    named = [word for phone in three_phones for word in ("-d", phone.serial)]
    process = slm("profile", artifact.path, *named, "-d", "local", *SMALL_FLAGS, "--json")
    out, err = process.communicate(timeout=200)
    first, doomed, last = three_phones
    assert process.returncode == 8, err
    serials = [stored["device"]["serial"] for stored in json.loads(out)]
    assert serials == [first.serial, last.serial, "local"]
    assert "3 of 4 devices done" in err and f"{doomed.serial}: DeviceLost" in err
    with open_store(settings.store_url) as store:
        assert sorted(summary.device.serial for summary in store.list_runs()) == sorted(serials)
        assert {summary.run.status for summary in store.list_runs()} == {"ok"}


def running_id(phone: VirtualPhone) -> str | None:
    runs = phone.root / "data/local/tmp/slm-toolkit/runs"
    return next((pid.parent.name for pid in runs.glob("*/pid") if runner_pids(pid.parent.name)), None)


def test_ctrl_c_while_several_run_leaves_nothing_on_any(
    slm: SlmProcess, three_phones: list[VirtualPhone], artifact: Artifact, settings: Settings
) -> None:
    phones = [three_phones[0], three_phones[2]]
    named = [word for phone in phones for word in ("-d", phone.serial)]
    process = slm("profile", artifact.path, *named, *ENDLESS_FLAGS)
    run_ids = [wait_for(lambda phone=phone: running_id(phone), timeout_s=150) for phone in phones]
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert [runner_pids(run_id) for run_id in run_ids] == [[], []]
    for phone in phones:
        assert list((phone.root / "data/local/tmp/slm-toolkit/runs").iterdir()) == []
    with open_store(settings.store_url) as store:
        assert store.list_runs() == []


def test_all_stands_for_every_attached_phone(
    slm: SlmProcess, adb_server: AdbServer, three_phones: list[VirtualPhone], artifact: Artifact
) -> None:
    attached = {phone.serial for phone in adb_server.client.devices()}
    process = slm("pull", "--device", "all", "--json")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert {phone.serial for phone in three_phones} <= attached
    assert all(f"{serial}: done" in err for serial in attached)
