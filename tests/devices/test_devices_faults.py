"""Phones that die, freeze, fill up or refuse: the real adb client against a virtual phone with faults.

For each: a typed error that names the serial, within the stated time; no half file under a final name;
and the same call succeeds once the phone is well again.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from virtual_phones import IMPATIENT, OpenPhone, StartPhone

from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.discovery import open_device
from toolkit.devices.transfer import push_verified
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import (
    DeviceFull,
    DeviceLost,
    DeviceNotFound,
    DeviceNotReady,
    DeviceTimeout,
    TransferFailed,
)
from toolkit.settings import Settings

# Where they differ, both are the point: what 29 says with 0, 36 says with 255.
pytestmark = pytest.mark.parametrize("adb_server", ["path", "wheel"], indirect=True)

REMOTE = "/data/local/tmp/slm-toolkit/file"
SIZE = 12_000_000
# Stall, the poll under way, killing what is left.
FROZEN_LIMIT_S = IMPATIENT.stall_s + IMPATIENT.call_s + 6


@pytest.fixture(scope="module")
def big_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("big") / "model.onnx.data"
    path.write_bytes(os.urandom(SIZE))
    return path


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def restart_healthy(phone: VirtualPhone, settings: Settings, client: AdbClient) -> VirtualPhone:
    """Bring a dead phone back on its port, with its files."""
    # Its adbd is gone; the rest of it follows within a moment.
    phone.die()
    port = int(phone.serial.rpartition(":")[2])
    well = start_phone(PhoneSpec(phone.name, model="Virtual", port=port), settings)
    bring_online(well, client)
    return well


def when_output_starts(act: Callable[[], None]) -> Callable[[str], None]:
    """A line callback that acts from another thread, so that the call under test goes on."""
    return lambda line: threading.Thread(target=act).start()


class TestPhoneThatDies:
    def test_mid_push(
        self,
        start: StartPhone,
        open_phone: OpenPhone,
        big_file: Path,
        phone_settings: Settings,
        adb_client: AdbClient,
    ) -> None:
        phone = start(faults=Faults(die_after_bytes=SIZE // 3))
        device = open_phone(phone)
        with pytest.raises(DeviceLost, match=phone.serial):
            push_verified(device, big_file, REMOTE, sha256=sha256_of(big_file))
        assert not (phone.root / REMOTE[1:]).exists()

        restart_healthy(phone, phone_settings, adb_client)
        assert push_verified(device, big_file, REMOTE, sha256=sha256_of(big_file)) == "pushed"
        assert sha256_of(phone.root / REMOTE[1:]) == sha256_of(big_file)
        assert not (phone.root / f"{REMOTE[1:]}.part").exists()

    def test_mid_shell(self, start: StartPhone, open_phone: OpenPhone) -> None:
        phone = start()
        started = time.monotonic()
        with pytest.raises(DeviceLost, match=phone.serial) as raised:
            open_phone(phone).shell(
                ["sh", "-c", "echo begun; sleep 100"],
                timeout_s=60,
                on_stdout_line=when_output_starts(phone.die),
            )
        assert time.monotonic() - started < 10
        assert raised.value.next_step

    def test_mid_pull(
        self,
        start: StartPhone,
        open_phone: OpenPhone,
        big_file: Path,
        tmp_path: Path,
        phone_settings: Settings,
        adb_client: AdbClient,
    ) -> None:
        phone = start(faults=Faults(die_after_bytes=SIZE + SIZE // 2))
        device = open_phone(phone)
        device.push(big_file, REMOTE)
        with pytest.raises(DeviceLost, match=phone.serial):
            device.pull(REMOTE, tmp_path / "back")
        assert not list(tmp_path.glob("back*"))

        restart_healthy(phone, phone_settings, adb_client)
        device.pull(REMOTE, tmp_path / "back")
        assert sha256_of(tmp_path / "back") == sha256_of(big_file)

    def test_before_a_call(self, start: StartPhone, open_phone: OpenPhone) -> None:
        phone = start()
        device = open_phone(phone)
        phone.die()
        with pytest.raises(DeviceLost, match=phone.serial):
            device.info()


class TestPhoneThatFreezes:
    def expect_timeout(self, call: Callable[[], object], serial: str) -> None:
        started = time.monotonic()
        with pytest.raises(DeviceTimeout, match=serial):
            call()
        assert time.monotonic() - started < FROZEN_LIMIT_S

    def test_mid_push(self, start: StartPhone, open_phone: OpenPhone, big_file: Path) -> None:
        phone = start(faults=Faults(freeze_after_bytes=SIZE // 3))
        device = open_phone(phone)
        self.expect_timeout(lambda: device.push(big_file, f"{REMOTE}.part"), phone.serial)
        phone.thaw()
        assert push_verified(device, big_file, REMOTE, sha256=sha256_of(big_file)) == "pushed"

    def test_mid_pull(self, start: StartPhone, open_phone: OpenPhone, big_file: Path, tmp_path: Path) -> None:
        phone = start(faults=Faults(freeze_after_bytes=SIZE + SIZE // 2))
        device = open_phone(phone)
        device.push(big_file, REMOTE)
        self.expect_timeout(lambda: device.pull(REMOTE, tmp_path / "back"), phone.serial)
        assert not list(tmp_path.glob("back*"))
        phone.thaw()
        device.pull(REMOTE, tmp_path / "back")
        assert sha256_of(tmp_path / "back") == sha256_of(big_file)

    def test_mid_shell(self, start: StartPhone, open_phone: OpenPhone) -> None:
        phone = start()
        device = open_phone(phone)
        self.expect_timeout(
            lambda: device.shell(
                ["sh", "-c", "echo begun; sleep 100"],
                timeout_s=2,
                on_stdout_line=when_output_starts(phone.freeze),
            ),
            phone.serial,
        )
        phone.thaw()
        assert device.shell(["echo", "back"], timeout_s=10).stdout == "back\n"


class TestConnectionThatBreaks:
    # Offsets within the handshake's first service, the middle of the file and its last bytes.
    @pytest.mark.parametrize("offset", [2_000, SIZE // 7, SIZE // 2 + 12_345, SIZE - 1])
    def test_a_cut_leaves_no_half_file_and_a_repeat_succeeds(
        self, start: StartPhone, open_phone: OpenPhone, adb_client: AdbClient, big_file: Path, offset: int
    ) -> None:
        phone = start(faults=Faults(cuts_after_bytes=(offset,)))
        device = open_phone(phone)
        with pytest.raises((DeviceLost, DeviceTimeout), match=phone.serial):
            push_verified(device, big_file, REMOTE, sha256=sha256_of(big_file))
        assert not (phone.root / REMOTE[1:]).exists()
        bring_online(phone, adb_client)
        assert push_verified(device, big_file, REMOTE, sha256=sha256_of(big_file)) == "pushed"
        assert sha256_of(phone.root / REMOTE[1:]) == sha256_of(big_file)

    def test_output_that_was_cut_never_passes_for_the_whole(
        self, start: StartPhone, open_phone: OpenPhone
    ) -> None:
        phone = start(faults=Faults(cuts_after_bytes=(20_000,)))
        with pytest.raises(DeviceLost, match=phone.serial):
            open_phone(phone).shell(["sh", "-c", "yes | head -n 100000"], timeout_s=20)


class TestPhoneThatIsFull:
    def test_df_and_the_toolkit_agree_that_it_is(
        self, start: StartPhone, open_phone: OpenPhone, big_file: Path
    ) -> None:
        phone = start(faults=Faults(space_bytes=8 << 20))
        device = open_phone(phone)
        assert device.free_space() <= 8 << 20
        with pytest.raises(DeviceFull, match=phone.serial):
            push_verified(device, big_file, REMOTE, sha256=sha256_of(big_file))

    def test_it_fills_up_during_the_push(
        self, start: StartPhone, open_phone: OpenPhone, big_file: Path
    ) -> None:
        phone = start(faults=Faults(space_bytes=8 << 20))
        device = open_phone(phone)
        with pytest.raises(DeviceFull, match=phone.serial):
            device.push(big_file, f"{REMOTE}.part")
        left = device.shell(["ls", os.path.dirname(REMOTE)], timeout_s=10).stdout
        assert left == ""


class TestKeys:
    def test_a_refused_key_is_not_ready_and_says_what_to_do(
        self, start: StartPhone, adb_client: AdbClient, phone_settings: Settings, open_phone: OpenPhone
    ) -> None:
        phone = start(online=False, faults=Faults(auth="refuse"))
        with pytest.raises(DeviceNotReady, match="unauthorized"):
            bring_online(phone, adb_client, timeout_s=1)
        with pytest.raises(DeviceNotReady, match="accept"):
            open_device(phone.serial, phone_settings)
        with pytest.raises(DeviceNotReady, match=phone.serial):
            open_phone(phone).info()

    @pytest.mark.parametrize("policy", ["accept", "late"])
    def test_a_new_key_is_accepted_at_once_or_a_moment_later(
        self, start: StartPhone, open_phone: OpenPhone, policy: str
    ) -> None:
        phone = start(faults=Faults(auth=policy))  # type: ignore[arg-type]
        assert open_phone(phone).shell(["echo", "in"], timeout_s=10).stdout == "in\n"

    # It measures how long a phone takes.
    @pytest.mark.serial
    def test_a_known_keys_signature_is_enough_the_next_time(
        self, start: StartPhone, adb_client: AdbClient, open_phone: OpenPhone
    ) -> None:
        phone = start(faults=Faults(auth="late", auth_delay_s=1.5))
        adb_client.disconnect(phone.serial)
        started = time.monotonic()
        bring_online(phone, adb_client)
        assert time.monotonic() - started < 1.4
        assert open_phone(phone).shell(["echo", "in"], timeout_s=10).stdout == "in\n"


class TestTwoPhones:
    def test_both_are_pushed_to_at_once_and_neither_gets_the_others_file(
        self, start: StartPhone, open_phone: OpenPhone, tmp_path: Path
    ) -> None:
        phones = [start("a"), start("b")]
        files = []
        for phone in phones:
            file = tmp_path / phone.name
            file.write_bytes(os.urandom(5_000_000))
            files.append(file)
        with ThreadPoolExecutor() as pool:
            outcomes = pool.map(
                lambda phone, file: push_verified(open_phone(phone), file, REMOTE, sha256=sha256_of(file)),
                phones,
                files,
            )
            assert list(outcomes) == ["pushed", "pushed"]
        for phone, file in zip(phones, files, strict=True):
            assert sha256_of(phone.root / REMOTE[1:]) == sha256_of(file)

    def test_one_dying_does_not_touch_the_other(self, start: StartPhone, open_phone: OpenPhone) -> None:
        doomed, well = start("a"), start("b")
        device = open_phone(well)
        result = device.shell(
            ["sh", "-c", "echo begun; sleep 1; echo done"],
            timeout_s=20,
            on_stdout_line=lambda line: doomed.die(),
        )
        assert result.stdout == "begun\ndone\n"
        with pytest.raises(DeviceLost, match=doomed.serial):
            open_phone(doomed).info()


def test_an_unknown_serial_lists_what_is_attached(
    shared_phone: VirtualPhone, phone_settings: Settings
) -> None:
    with pytest.raises(DeviceNotFound, match=shared_phone.serial) as raised:
        open_device("no-such-phone", phone_settings)
    assert raised.value.serial == "no-such-phone"


def test_a_similar_serial_is_another_device(shared_phone: VirtualPhone, phone_settings: Settings) -> None:
    with pytest.raises(DeviceNotFound):
        open_device(shared_phone.serial[:-1], phone_settings)


def test_a_write_protected_place_is_a_failed_transfer(
    shared_phone: VirtualPhone, open_phone: OpenPhone, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    device: AdbDevice = open_phone(shared_phone)
    with pytest.raises(TransferFailed, match=shared_phone.serial):
        device.push(tmp_path / "file", "/sys/kernel/file")
