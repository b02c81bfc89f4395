"""A private adb server and virtual phones; all of it is gone when the session ends."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.binary import find_adb
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.adb.device import Patience
from toolkit.devices.base import Device
from toolkit.devices.local import LocalDevice
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.fleet import VirtualPhone, remove_phone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings

# A frozen phone is noticed after stall_s + at most two polls.
IMPATIENT = Patience(call_s=3.0, stall_s=1.5, poll_s=0.2)

StartPhone = Callable[..., VirtualPhone]
OpenPhone = Callable[[VirtualPhone], AdbDevice]


@pytest.fixture(scope="session")
def adb_client(phone_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbClient]:
    """The real adb with a server, a key and a port of its own."""
    home = tmp_path_factory.mktemp("adb-home")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    client = AdbClient(find_adb(phone_settings))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        patch.setenv("ADB_MDNS_AUTO_CONNECT", "0")
        patch.delenv("ANDROID_SERIAL", raising=False)
        with (home / "server.log").open("wb") as log:
            server = subprocess.Popen(
                [client.binary, "nodaemon", "server"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            _wait_for_port(port)
            yield client
        finally:
            server.kill()
            server.wait()


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("the adb server did not start")


@pytest.fixture(scope="session")
def phone_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Data of the tests' own; the cache is the user's, so that busybox is fetched once."""
    user = Settings.from_environment()
    data = tmp_path_factory.mktemp("data")
    return Settings(cache_dir=user.cache_dir, data_dir=data, store_url="sqlite://", adb=user.adb)


@pytest.fixture
def start(
    adb_client: AdbClient, phone_settings: Settings, request: pytest.FixtureRequest
) -> Iterator[StartPhone]:
    """Starts virtual phones that end with the test; ``online=False`` leaves them unconnected."""
    started: list[VirtualPhone] = []

    def start_one(name: str = "phone", *, online: bool = True, **fields: object) -> VirtualPhone:
        spec = PhoneSpec(f"{name}-{os.getpid()}-{id(request)}", model=f"Virtual {name}", **fields)
        phone = start_phone(spec, phone_settings)
        started.append(phone)
        if online:
            bring_online(phone, adb_client)
        return phone

    yield start_one
    for phone in started:
        adb_client.disconnect(phone.serial)
        remove_phone(phone)


@pytest.fixture(scope="session")
def shared_phone(adb_client: AdbClient, phone_settings: Settings) -> Iterator[VirtualPhone]:
    """One healthy phone for the tests that do it no harm."""
    phone = start_phone(PhoneSpec("shared", model="Virtual Shared"), phone_settings)
    bring_online(phone, adb_client)
    yield phone
    adb_client.disconnect(phone.serial)
    remove_phone(phone)


@pytest.fixture(scope="session")
def open_phone(adb_client: AdbClient, phone_settings: Settings) -> OpenPhone:
    """Opens a virtual phone as the toolkit does, with little patience."""
    return lambda phone: AdbDevice(
        phone.serial, adb_client, lock_folder=phone_settings.data_dir / "locks", patience=IMPATIENT
    )


@pytest.fixture(params=["local", "adb"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Device:
    """Each implementation of the interface in turn, with an empty folder to work in."""
    if request.param == "local":
        settings = Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", store_url="sqlite://")
        return LocalDevice(settings)
    phone = request.getfixturevalue("shared_phone")
    opened: AdbDevice = request.getfixturevalue("open_phone")(phone)
    opened.workdir = f"{opened.workdir}/{tmp_path.name}"
    request.addfinalizer(lambda: opened.shell(["rm", "-rf", opened.workdir], timeout_s=10))
    return opened
