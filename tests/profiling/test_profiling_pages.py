"""Pages of 16 KB and more: a bundle that cannot be mapped is refused before anything is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest
from private_adb import AdbServer
from runs import SMALL
from virtual_phones import running_phone

from toolkit.artifact import Artifact
from toolkit.devices.conditions import parse_page_bytes
from toolkit.devices.discovery import open_device
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import EngineMismatch
from toolkit.profiling.session.session import Session, profile
from toolkit.settings import Settings


@pytest.mark.parametrize(
    ("text", "size"),
    [("4096\n", 4096), ("16384", 16384), ("65536", 65536), ("5000", None), ("", None), ("undefined", None)],
)
def test_page_sizes(text: str, size: int | None) -> None:
    assert parse_page_bytes(text) == size


def test_a_phone_with_larger_pages_than_the_libraries_are_made_for_is_refused(
    adb_server: AdbServer, phones_home: Settings, artifact: Artifact, session: Session
) -> None:
    spec = PhoneSpec("large-pages", model="Virtual Large Pages", page_size_bytes=65536)
    with running_phone(adb_server.client, phones_home, spec) as phone:
        device = open_device(phone.serial, replace(phones_home, adb=adb_server.client.binary))
        assert device.info().page_bytes == 65536
        with pytest.raises(EngineMismatch, match="pages of 64 KB"):
            profile(device, artifact, SMALL, session)
        assert not list((phone.root / "data/local/tmp").glob("slm-toolkit/bundles/*"))
    assert session.store.count_runs() == 0
