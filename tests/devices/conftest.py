"""Virtual phones on a private adb server; all of it is gone when the session ends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_adb import AdbServer
from private_sshd import SERIAL, Board
from virtual_phones import IMPATIENT, OpenPhone, StartPhone, running_phone

from toolkit.devices.adb import AdbDevice
from toolkit.devices.adb.client import AdbClient
from toolkit.devices.base import Device
from toolkit.devices.local import LocalDevice
from toolkit.devices.ssh.client import find_client
from toolkit.devices.ssh.device import open_board
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.fleet import VirtualPhone, remove_phone, start_phone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings


@pytest.fixture(scope="session")
def adb_client(adb_server: AdbServer) -> AdbClient:
    return adb_server.client


@pytest.fixture(scope="session")
def phone_settings(adb_client: AdbClient, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Data of the tests' own; the cache is the user's, so that busybox is fetched once."""
    user = Settings.from_environment()
    data = tmp_path_factory.mktemp("data")
    return Settings(cache_dir=user.cache_dir, data_dir=data, store_url="sqlite://", adb=adb_client.binary)


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


@pytest.fixture(scope="module")
def shared_phone(adb_client: AdbClient, phone_settings: Settings) -> Iterator[VirtualPhone]:
    """One healthy phone for the tests that do it no harm."""
    with running_phone(adb_client, phone_settings, PhoneSpec("shared", model="Virtual Shared")) as phone:
        yield phone


@pytest.fixture(scope="session")
def open_phone(adb_client: AdbClient, phone_settings: Settings) -> OpenPhone:
    """Opens a virtual phone as the toolkit does, with little patience."""
    return lambda phone: AdbDevice(
        phone.serial, adb_client, lock_folder=phone_settings.data_dir / "locks", patience=IMPATIENT
    )


@pytest.fixture(params=["local", "adb", "ssh"])
def device(request: pytest.FixtureRequest, tmp_path: Path) -> Device:
    """Each implementation of the interface in turn, with an empty folder to work in."""
    if request.param == "local":
        settings = Settings(cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", store_url="sqlite://")
        return LocalDevice(settings)
    if request.param == "ssh":
        board: Board = request.getfixturevalue("board")
        request.addfinalizer(lambda: shutil.rmtree(board.home / ".slm-toolkit", ignore_errors=True))
        return open_board(find_client(SERIAL), lock_folder=tmp_path / "locks", patience=IMPATIENT)
    phone = request.getfixturevalue("shared_phone")
    opened: AdbDevice = request.getfixturevalue("open_phone")(phone)
    opened.workdir = f"{opened.workdir}/{tmp_path.name}"
    request.addfinalizer(lambda: opened.shell(["rm", "-rf", opened.workdir], timeout_s=10))
    return opened
