"""The virtual phone itself: Android's looks, a closed sandbox, nothing left behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_phones import OpenPhone, StartPhone

import toolkit
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.adb.parsers import ConnectOutcome
from toolkit.devices.local import host_abi
from toolkit.devices.virtual.auth import signature_matches
from toolkit.devices.virtual.busybox import find_busybox, is_static_elf
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.fleet import VirtualPhone, known_phones, remove_phone, start_phone
from toolkit.devices.virtual.packets import BadPacket, unpack_header
from toolkit.devices.virtual.services import battery_text, thermal_text
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import VirtualPhoneFailed
from toolkit.recipes.executors.cluster_devices import devices_here, node_resources, offered_phones
from toolkit.settings import Settings


def adb(client: AdbClient, phone: VirtualPhone, *args: str) -> str:
    finished = client.execute(args, serial=phone.serial, timeout_s=30)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout.decode()


def test_a_connection_that_is_lost_at_once_is_made_again(start: StartPhone, adb_client: AdbClient) -> None:
    connections: list[str] = []

    class Forgetful(AdbClient):
        """Loses its first connection, as to a phone whose earlier one ends at that moment."""

        def connect(self, address: str) -> ConnectOutcome:
            outcome = super().connect(address)
            connections.append(address)
            if len(connections) == 1:
                self.disconnect(address)
            return outcome

    phone = start(online=False)
    bring_online(phone, Forgetful(adb_client.binary))
    assert adb(adb_client, phone, "shell", "echo", "in") == "in\n"
    assert len(connections) >= 2


def test_a_host_offers_those_that_run_to_a_cluster_by_the_names_of_plans(
    shared_phone: VirtualPhone, phone_settings: Settings
) -> None:
    offered = devices_here(phone_settings)
    assert {"local", "virtual-1"} <= set(offered) and shared_phone.serial not in offered
    assert offered_phones([{"Resources": node_resources(["local", "virtual-1"])}]) == [], "they are no phones"


def test_adb_lists_it_with_product_model_and_device(
    adb_client: AdbClient, shared_phone: VirtualPhone
) -> None:
    (listed,) = [device for device in adb_client.devices() if device.serial == shared_phone.serial]
    assert listed.state == "device"
    assert (listed.tags["model"], listed.tags["device"]) == ("Virtual_Shared", "slm_virtual")


def test_getprop_looks_like_androids(adb_client: AdbClient, shared_phone: VirtualPhone) -> None:
    assert adb(adb_client, shared_phone, "shell", "getprop ro.product.model") == "Virtual Shared\n"
    assert adb(adb_client, shared_phone, "shell", "getprop no.such.key") == "\n"
    assert adb(adb_client, shared_phone, "shell", "getprop no.such.key default") == "default\n"
    assert "[ro.slm.virtual]: [1]\n" in adb(adb_client, shared_phone, "shell", "getprop")


def test_adbs_own_exit_code_and_streams_work(adb_client: AdbClient, shared_phone: VirtualPhone) -> None:
    finished = adb_client.execute(
        ["shell", "echo out; echo err >&2; exit 7"], serial=shared_phone.serial, timeout_s=10
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (7, b"out\n", b"err\n")


def test_shell_passes_stdin_on(adb_client: AdbClient, shared_phone: VirtualPhone) -> None:
    sent = os.urandom(300_000)
    finished = subprocess.run(
        [adb_client.binary, "-s", shared_phone.serial, "shell", "sha256sum"],
        input=sent,
        capture_output=True,
        timeout=30,
    )
    assert finished.stdout.split()[0].decode() == hashlib.sha256(sent).hexdigest()


def test_exec_out_is_byte_for_byte(adb_client: AdbClient, shared_phone: VirtualPhone) -> None:
    finished = adb_client.execute(
        ["exec-out", r"printf '\000\001\r\n\377'"], serial=shared_phone.serial, timeout_s=10
    )
    assert finished.stdout == b"\0\1\r\n\xff"


def test_folders_travel_with_links_and_empty_files(
    adb_client: AdbClient, shared_phone: VirtualPhone, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").write_bytes(b"content")
    (folder / "empty").touch()
    (folder / "link").symlink_to("sub/file")
    adb(adb_client, shared_phone, "push", str(folder), "/data/local/tmp/tree")
    adb(adb_client, shared_phone, "pull", "/data/local/tmp/tree", str(tmp_path / "back"))
    adb(adb_client, shared_phone, "shell", "rm -r /data/local/tmp/tree")
    assert (tmp_path / "back" / "sub" / "file").read_bytes() == b"content"
    assert (tmp_path / "back" / "link").read_bytes() == b"content"
    assert (tmp_path / "back" / "empty").read_bytes() == b""


def test_its_condition_can_be_set_while_it_runs(start: StartPhone, open_phone: OpenPhone) -> None:
    phone = start()
    phone.set_service("battery", battery_text(percent=15, charging=True))
    phone.set_service("thermalservice", thermal_text(status=3, cpu_celsius=71.5))
    readings = open_phone(phone).readings()
    assert (readings.battery_percent, readings.charging) == (15, True)
    assert (readings.thermal_status, readings.hottest_cpu_celsius) == (3, 71.5)


def test_nothing_of_the_host_is_visible_inside(
    shared_phone: VirtualPhone, open_phone: OpenPhone, adb_client: AdbClient, tmp_path: Path
) -> None:
    device = open_phone(shared_phone)
    (tmp_path / "secret").write_text("host")
    assert device.shell(["ls", str(tmp_path)], timeout_s=10).returncode != 0
    up = "/data/local/tmp/" + "../" * 20
    pulled = adb_client.execute(
        ["pull", f"{up}{tmp_path}/secret", str(tmp_path / "x")], serial=device.serial, timeout_s=10
    )
    assert pulled.returncode != 0
    pids = device.shell(["sh", "-c", "ls /proc | grep -E '^[0-9]+$'"], timeout_s=10).stdout.split()
    assert str(os.getpid()) not in pids
    assert len(pids) < 20
    assert device.shell(["sh", "-c", "echo x > /sys/kernel/x"], timeout_s=10).returncode != 0


def test_proc_and_cpu_topology_are_there_for_engines(
    shared_phone: VirtualPhone, open_phone: OpenPhone
) -> None:
    device = open_phone(shared_phone)
    assert "VmHWM" in device.shell(["cat", "/proc/self/status"], timeout_s=10).stdout
    assert device.shell(["cat", "/sys/devices/system/cpu/possible"], timeout_s=10).stdout


def test_stopping_leaves_no_process_no_mount_and_no_file(phone_settings: Settings) -> None:
    phone = start_phone(PhoneSpec("brief", model="Brief"), phone_settings)
    assert phone in known_phones(phone_settings)
    remove_phone(phone)
    assert not phone.is_running()
    assert not Path(phone.folder).exists()
    assert phone.folder not in Path("/proc/self/mountinfo").read_text()
    assert phone not in known_phones(phone_settings)


def test_removing_a_phone_ends_the_one_that_was_started_again(phone_settings: Settings) -> None:
    spec = PhoneSpec("again", model="Again")
    first = start_phone(spec, phone_settings)
    first.die()
    second = start_phone(spec, phone_settings)
    remove_phone(first)
    assert not second.is_running()


def test_a_dead_phones_commands_die_with_it(start: StartPhone, open_phone: OpenPhone) -> None:
    phone = start()
    marker = f"{os.getpid()}77"
    # In a session of its own before the command ends, for a phone ends what still is of the command's.
    script = f"setsid sh -c 'sleep {marker} >/dev/null 2>&1 &'; true"
    open_phone(phone).shell(["sh", "-c", script], timeout_s=10)
    deadline = time.monotonic() + 10
    while marker not in _host_processes():
        assert time.monotonic() < deadline, "it did not outlive its command"
        time.sleep(0.02)
    phone.die()
    assert marker not in _host_processes()


def _host_processes() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(line for line in lines if "sleep" in line)


def test_a_name_that_runs_is_refused(start: StartPhone, phone_settings: Settings) -> None:
    phone = start(online=False)
    with pytest.raises(VirtualPhoneFailed, match="running already"):
        start_phone(PhoneSpec(phone.name, model="Again"), phone_settings)


def test_a_taken_port_is_a_clear_error(start: StartPhone, phone_settings: Settings) -> None:
    port = int(start(online=False).serial.rpartition(":")[2])
    with pytest.raises(VirtualPhoneFailed, match="in use"):
        start_phone(PhoneSpec("second", model="Second", port=port), phone_settings)


def test_a_missing_busybox_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", store_url="sqlite://")
    with pytest.raises(VirtualPhoneFailed, match="busybox-static"):
        find_busybox(settings, "x86_64")


def test_a_dynamic_or_damaged_program_is_no_static_busybox(tmp_path: Path, phone_settings: Settings) -> None:
    assert is_static_elf(find_busybox(phone_settings, host_abi()))
    assert not is_static_elf(Path(shutil.which("ls") or "/bin/ls"))
    (tmp_path / "short").write_bytes(b"\x7fELF\x02\x01")
    assert not is_static_elf(tmp_path / "short")


NOBODY = 65534
START_AND_STOP = """
import sys
import sysconfig
import time
from pathlib import Path
from toolkit.devices.virtual.fleet import remove_phone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings
home = Path(sys.argv[1])
phone = start_phone(PhoneSpec("p", model="M", abi=sys.argv[2]), Settings(home, home / "data", "sqlite://"))
print(phone.is_running())
remove_phone(phone)
print(phone.is_running())
"""


def _python_for_nobody(environment: dict[str, str]) -> str:
    """An interpreter that another user may run: a virtual environment under /root is none."""
    for python in (sys.executable, "/usr/bin/python3"):
        probe = [python, "-c", "import pydantic, toolkit.devices.virtual.fleet"]
        try:
            subprocess.run(probe, env=environment, check=True, capture_output=True, cwd="/", user=NOBODY)
        except (PermissionError, FileNotFoundError, subprocess.CalledProcessError):
            continue
        return python
    pytest.skip("no Python and checkout that another user may read")


@pytest.mark.skipif(os.geteuid() != 0, reason="not root: every other test shows it")
@pytest.mark.parametrize("abi", [host_abi(), "arm64-v8a"])
def test_it_starts_without_root(phone_settings: Settings, abi: str) -> None:
    if abi != host_abi() and not shutil.which("qemu-aarch64-static"):
        pytest.skip("needs Debian's package qemu-user-static")
    # Another interpreter of the same version may use this environment's packages.
    folders = (str(Path(toolkit.__file__).parent.parent), sysconfig.get_path("platlib"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    python = _python_for_nobody(environment)
    home = Path("/var/tmp") / f"slm-nobody-{os.getpid()}"
    busybox = find_busybox(phone_settings, abi)
    try:
        kept = home / "busybox" / abi
        kept.mkdir(parents=True)
        shutil.copy(busybox, kept / "busybox")
        for path in (home, kept.parent, kept):
            os.chown(path, NOBODY, NOBODY)
        finished = subprocess.run(
            [python, "-c", START_AND_STOP, str(home), abi],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            cwd="/",
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
        )
    finally:
        shutil.rmtree(home)
    assert finished.stdout == "True\nFalse\n", finished.stderr


@given(st.binary(max_size=600), st.binary(min_size=20, max_size=20), st.binary(min_size=256, max_size=256))
def test_no_garbage_passes_as_a_key(key: bytes, token: bytes, signature: bytes) -> None:
    assert not signature_matches(key, token, signature)


@given(st.binary(min_size=24, max_size=24))
def test_garbage_is_no_packet(data: bytes) -> None:
    with pytest.raises(BadPacket):
        unpack_header(data)
