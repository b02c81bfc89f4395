from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from app_runs import APP, succeed
from private_adb import AdbServer
from slm_process import SlmProcess
from tiny_artifact import CONTEXT_LENGTH, make_artifact
from tiny_decoder import TinyDecoder
from virtual_phones import running_phone

from toolkit.app.emulated_app import build_emulated_app
from toolkit.artifact import Artifact
from toolkit.devices.local import LocalDevice
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import BuildFailed
from toolkit.profiling.session.session import Session
from toolkit.runtime.bundle import Bundle
from toolkit.settings import Settings
from toolkit.store import open_store


@pytest.fixture(scope="session")
def decoder() -> TinyDecoder:
    return TinyDecoder(context_length=CONTEXT_LENGTH)


@pytest.fixture(scope="session")
def artifact(decoder: TinyDecoder, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    return make_artifact(tmp_path_factory.mktemp("artifacts") / "tiny", decoder)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """Of another name and another hash."""
    folder = tmp_path_factory.mktemp("artifacts") / "other"
    return make_artifact(folder, TinyDecoder(context_length=CONTEXT_LENGTH, all_logits=True), name="other")


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
def phones_home(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    user = Settings.from_environment()
    return dataclasses.replace(user, data_dir=tmp_path_factory.mktemp("phones"), store_url="sqlite://")


@pytest.fixture(scope="session")
def phone(adb_server: AdbServer, phones_home: Settings) -> Iterator[VirtualPhone]:
    """One healthy phone for all tests that leave it so; pushing the runner takes its time."""
    with running_phone(
        adb_server.client, phones_home, PhoneSpec("healthy", model="Virtual Healthy")
    ) as started:
        yield started


@pytest.fixture
def doomed_phone(adb_server: AdbServer, phones_home: Settings) -> Iterator[VirtualPhone]:
    """A phone to break."""
    with running_phone(
        adb_server.client, phones_home, PhoneSpec("doomed", model="Virtual Doomed")
    ) as started:
        yield started


@pytest.fixture
def slm(settings: Settings) -> Iterator[SlmProcess]:
    """Starts the real command line; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []
    environ = {
        "SLM_CACHE_DIR": str(settings.cache_dir),
        "SLM_DATA_DIR": str(settings.data_dir),
        "SLM_STORE_URL": settings.store_url,
    }

    def start(
        *arguments: object,
        stdin: int | IO[str] = subprocess.DEVNULL,
        stderr: int | IO[str] = subprocess.PIPE,
        **more: str,
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "toolkit.cli.main", *map(str, arguments)],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, **environ, **more},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def app_phone(adb_server: AdbServer, phones_home: Settings, bundle: Bundle) -> Iterator[VirtualPhone]:
    """A phone with room for the app."""
    # The shell's runner is built here as well, not within the time of a test.
    assert bundle.path.is_dir()
    try:
        build_emulated_app(phones_home)
    except BuildFailed as error:
        if "does not compile" in error.what:
            raise
        pytest.skip(
            f"needs Debian's package `openjdk-17-jdk-headless` and npm's kotlin-compiler: {error.what}"
        )
    with running_phone(adb_server.client, phones_home, PhoneSpec("app", model="Virtual App")) as started:
        yield started


@pytest.fixture
def installed(app_phone: VirtualPhone, slm: SlmProcess) -> VirtualPhone:
    """A phone with the app."""
    if not (app_phone.root / APP).is_dir():
        succeed(slm, "app", "install", "-d", app_phone.serial)
    return app_phone
