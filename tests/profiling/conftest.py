from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# The tiny decoder belongs to the runner's tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "runtime"))

from private_adb import AdbServer  # noqa: E402
from tiny_artifact import CONTEXT_LENGTH, make_artifact  # noqa: E402
from tiny_decoder import TinyDecoder  # noqa: E402

from toolkit.artifact import Artifact  # noqa: E402
from toolkit.devices.adb.binary import find_adb  # noqa: E402
from toolkit.devices.adb.client import AdbClient  # noqa: E402
from toolkit.devices.local import LocalDevice  # noqa: E402
from toolkit.devices.virtual.emulation import bring_online  # noqa: E402
from toolkit.devices.virtual.fleet import VirtualPhone, remove_phone, start_phone  # noqa: E402
from toolkit.devices.virtual.spec import PhoneSpec  # noqa: E402
from toolkit.profiling.session import Session  # noqa: E402
from toolkit.settings import Settings  # noqa: E402
from toolkit.store import open_store  # noqa: E402

SlmProcess = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="session")
def decoder() -> TinyDecoder:
    return TinyDecoder(context_length=CONTEXT_LENGTH)


@pytest.fixture(scope="session")
def artifact(decoder: TinyDecoder, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifacts") / "tiny", decoder)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Results of its own, but the user's cache: runner and busybox are made once."""
    data = tmp_path / "data"
    return dataclasses.replace(
        Settings.from_environment(), data_dir=data, store_url=f"sqlite:///{data / 'results.db'}"
    )


@pytest.fixture
def session(settings: Settings) -> Iterator[Session]:
    with open_store(settings.store_url) as store:
        yield Session(settings, store)


@pytest.fixture
def local(settings: Settings) -> LocalDevice:
    return LocalDevice(settings)


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    user = Settings.from_environment()
    server = AdbServer(AdbClient(find_adb(user)), tmp_path_factory.mktemp("adb-home"))
    with pytest.MonkeyPatch.context() as patch:
        # HOME moves with adb's key; the cache does not.
        patch.setenv("SLM_CACHE_DIR", str(user.cache_dir))
        for name, value in server.environ.items():
            patch.setenv(name, value)
        patch.delenv("ANDROID_SERIAL", raising=False)
        server.start()
        yield server
        server.kill()


@pytest.fixture(scope="session")
def phones_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    user = Settings.from_environment()
    return dataclasses.replace(user, data_dir=tmp_path_factory.mktemp("phones"), store_url="sqlite://")


@pytest.fixture(scope="session")
def phone(adb_server: AdbServer, phones_home: Settings) -> Iterator[VirtualPhone]:
    """One healthy phone for all tests that leave it so; pushing the runner takes its time."""
    with running_phone(adb_server, phones_home, PhoneSpec("healthy", model="Virtual Healthy")) as started:
        yield started


@pytest.fixture
def doomed_phone(adb_server: AdbServer, phones_home: Settings) -> Iterator[VirtualPhone]:
    """A phone to break."""
    with running_phone(adb_server, phones_home, PhoneSpec("doomed", model="Virtual Doomed")) as started:
        yield started


@contextmanager
def running_phone(adb_server: AdbServer, phones_home: Settings, spec: PhoneSpec) -> Iterator[VirtualPhone]:
    started = start_phone(spec, phones_home)
    try:
        bring_online(started, adb_server.client)
        yield started
    finally:
        adb_server.client.disconnect(started.serial)
        remove_phone(started)


@pytest.fixture
def slm(settings: Settings) -> Iterator[SlmProcess]:
    """Starts the real command line; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []
    environ = {
        "SLM_CACHE_DIR": str(settings.cache_dir),
        "SLM_DATA_DIR": str(settings.data_dir),
        "SLM_STORE_URL": settings.store_url,
    }

    def start(*arguments: object, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "toolkit.cli.main", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environ, **more},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
