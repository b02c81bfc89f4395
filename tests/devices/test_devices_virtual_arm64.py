"""The arm64 virtual phone: every program on it is an arm64 one, and nothing of the machine changes."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from virtual_phones import running_phone

from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.base import Device
from toolkit.devices.local import host_abi
from toolkit.devices.virtual.busybox import find_busybox, is_static_elf
from toolkit.devices.virtual.conditions import set_conditions
from toolkit.devices.virtual.emulation import emulate, stop_all
from toolkit.devices.virtual.emulator import cpu_model, find_emulator, let_kernel_run
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.hardware import FEATURES_ARMV8_0, FEATURES_ARMV8_2
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import VirtualPhoneFailed
from toolkit.settings import Settings

ABI = "arm64-v8a"
MACHINE_WIDE = Path("/proc/sys/fs/binfmt_misc")

needs_qemu = pytest.mark.skipif(
    host_abi() == ABI or not any(map(shutil.which, ("qemu-aarch64-static", "qemu-aarch64"))),
    reason="needs Debian's package qemu-user-static, and a machine that is not arm64 itself",
)


def machine_wide() -> set[str]:
    return set(os.listdir(MACHINE_WIDE)) if MACHINE_WIDE.is_dir() else set()


@pytest.fixture(scope="module")
def phone(adb_client: AdbClient, phone_settings: Settings) -> Iterator[VirtualPhone]:
    with running_phone(
        adb_client, phone_settings, PhoneSpec("arm64", model="Virtual Arm", abi=ABI)
    ) as started:
        yield started


@pytest.fixture
def opened(phone: VirtualPhone, adb_client: AdbClient, phone_settings: Settings) -> Device:
    # As the toolkit opens it, with a user's patience: on a busy machine qemu takes seconds for a long script.
    return AdbDevice(phone.serial, adb_client, lock_folder=phone_settings.data_dir / "locks")


@needs_qemu
def test_it_looks_like_an_arm64_phone(opened: Device) -> None:
    info = opened.info()
    assert (info.abi, info.emulated) == (ABI, True)
    assert opened.shell(["uname", "-m"], timeout_s=15).stdout == "aarch64\n"
    cpuinfo = opened.shell(["cat", "/proc/cpuinfo"], timeout_s=15).stdout
    assert f"Features\t: {FEATURES_ARMV8_2}\n" in cpuinfo
    assert cpuinfo.count("processor\t:") == info.cpu_cores == min(len(os.sched_getaffinity(0)), 8)


@needs_qemu
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core is neither big nor little")
def test_its_cores_are_big_and_little(opened: Device) -> None:
    listing = "cat /sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq"
    assert len(set(opened.shell(["sh", "-c", listing], timeout_s=15).stdout.split())) == 2


@needs_qemu
def test_its_conditions_can_be_set_as_on_any_virtual_phone(phone: VirtualPhone, opened: Device) -> None:
    set_conditions(phone, thermal_status=4, zones={"cpu-1-0": 77.0}, battery_percent=9)
    readings = opened.readings()
    assert (readings.thermal_status, readings.hottest_cpu_celsius, readings.battery_percent) == (4, 77.0, 9)


@needs_qemu
def test_files_travel_both_ways(opened: Device, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(os.urandom(300_000))
    opened.push(tmp_path / "sent", f"{opened.workdir}/file")
    opened.pull(f"{opened.workdir}/file", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "sent").read_bytes()


@needs_qemu
def test_nothing_of_the_machine_changes(phone: VirtualPhone) -> None:
    assert not any("slm" in name for name in machine_wide())
    busybox = phone.root / "system/bin/busybox"
    assert is_static_elf(busybox, ABI) and not is_static_elf(busybox, host_abi())


@needs_qemu
def test_an_emulator_is_never_registered_for_the_whole_machine(tmp_path: Path) -> None:
    if Path("/proc/self/uid_map").read_text().split()[2] != "4294967295":
        pytest.skip("this is a user namespace already")
    with pytest.raises(VirtualPhoneFailed, match="Refused to register"):
        let_kernel_run(find_emulator(ABI), tmp_path)


@needs_qemu
def test_phones_of_each_abi_are_counted_apart(
    adb_client: AdbClient, phone_settings: Settings, tmp_path: Path
) -> None:
    settings = dataclasses.replace(phone_settings, data_dir=tmp_path)
    try:
        (arm,) = emulate(1, settings, adb_client, abi=ABI)
        (own,) = emulate(1, settings, adb_client)
        assert (arm.spec().abi, own.spec().abi) == (ABI, host_abi())
        assert emulate(1, settings, adb_client, abi=ABI) == [arm]
    finally:
        stop_all(settings, adb_client)


def test_without_qemu_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(VirtualPhoneFailed, match="No static qemu for arm64-v8a") as failure:
        find_emulator(ABI)
    assert "apt-get install qemu-user-static" in (failure.value.next_step or "")


def test_a_kernel_that_starts_no_arm64_programs_is_a_clear_error(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from toolkit.devices.virtual.emulator import let_kernel_run;"
        "let_kernel_run(Path('/bin/true'), Path(sys.argv[1]))"
    )
    # A root without /proc has no place for the kernel's list, as on a kernel that has none of its own.
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", script, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "VirtualPhoneFailed" in done.stderr and "older than Linux 6.7" in done.stderr


def test_qemus_core_has_the_features_that_cpuinfo_shows() -> None:
    assert cpu_model(FEATURES_ARMV8_2) == "cortex-a76"
    assert cpu_model(FEATURES_ARMV8_0) == "cortex-a53"


def test_a_busybox_of_another_abi_is_not_taken(tmp_path: Path, phone_settings: Settings) -> None:
    own = find_busybox(phone_settings, host_abi())
    other = ABI if host_abi() != ABI else "x86_64"
    assert is_static_elf(own, host_abi()) and not is_static_elf(own, other)
