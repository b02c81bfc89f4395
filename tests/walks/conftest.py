from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from private_adb import AdbServer
from stranger import Stranger
from virtual_phones import running_phone

from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings


@pytest.fixture
def stranger(tmp_path: Path) -> Stranger:
    return Stranger(tmp_path)


@pytest.fixture
def serial(adb_server: AdbServer, tmp_path: Path) -> Iterator[str]:
    home = replace(Settings.from_environment(), data_dir=tmp_path / "phones")
    with running_phone(adb_server.client, home, PhoneSpec("walk", model="Virtual Walker")) as phone:
        yield phone.serial
