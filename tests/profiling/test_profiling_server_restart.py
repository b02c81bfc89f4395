"""What adb itself may do in the middle of a session: its server ends, a phone says a name of two lines."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from private_adb import AdbServer
from runs import SMALL_FLAGS, wait_for
from slm_process import SlmProcess
from virtual_phones import running_phone

from toolkit.artifact import Artifact
from toolkit.devices.virtual.emulation import bring_online
from toolkit.devices.virtual.faults import Faults
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.settings import Settings
from toolkit.store import open_store

WORKDIR = "data/local/tmp/slm-toolkit"
# Slow enough to be caught in the middle of a push, fast enough to be waited for.
LINK_BYTES_PER_SECOND = 10e6


@pytest.fixture
def restartable(adb_server: AdbServer) -> Iterator[AdbServer]:
    """The server again as it was, also after a test that ended it."""
    yield adb_server
    # Any adb client starts a server when there is none, and that one would outlive the tests.
    adb_server.start()


def arriving(phone: VirtualPhone) -> list[Path]:
    return [part for part in (phone.root / WORKDIR).rglob("*.part") if part.stat().st_size]


def assert_what_has_its_name_is_whole(phone: VirtualPhone) -> None:
    for receipt in (phone.root / WORKDIR).rglob(".*.sha256-receipt"):
        file = receipt.with_name(receipt.name[1:].removesuffix(".sha256-receipt"))
        assert hashlib.sha256(file.read_bytes()).hexdigest() == receipt.read_text().split()[0]


@pytest.mark.parametrize("adb_server", ["path", "wheel"], indirect=True)
def test_an_adb_server_that_is_restarted_during_a_push_costs_that_push_only(
    slm: SlmProcess, restartable: AdbServer, phones_home: Settings, artifact: Artifact, settings: Settings
) -> None:
    client = restartable.client
    faults = Faults(bytes_per_second=LINK_BYTES_PER_SECOND)
    with running_phone(client, phones_home, PhoneSpec("slow", model="Virtual Slow", faults=faults)) as phone:
        command = ("profile", artifact.path, "-d", phone.serial, *SMALL_FLAGS)
        process = slm(*command)
        wait_for(lambda: arriving(phone), timeout_s=150)
        client.execute(["kill-server"], timeout_s=20)
        _, err = process.communicate(timeout=90)
        assert process.returncode == 8 and phone.serial in err and "next:" in err, err
        assert_what_has_its_name_is_whole(phone)
        bring_online(phone, client)
        process = slm(*command)
        _, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
        assert_what_has_its_name_is_whole(phone)
        assert list((phone.root / WORKDIR).rglob("*.part")) == []
    with open_store(settings.store_url) as store:
        assert [summary.run.status for summary in store.list_runs()] == ["ok"]


def test_a_model_and_a_folder_of_two_lines_keep_both(
    slm: SlmProcess,
    adb_server: AdbServer,
    phones_home: Settings,
    artifact: Artifact,
    settings: Settings,
    tmp_path: Path,
) -> None:
    model = "One\nTwo]\n\nThree"
    folder = tmp_path / "one\ntwo"
    shutil.copytree(artifact.path, folder)
    with running_phone(adb_server.client, phones_home, PhoneSpec("lines", model=model)) as phone:
        process = slm("profile", folder, "-d", phone.serial, *SMALL_FLAGS)
        _, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
        listing = slm("devices", "list", "--json")
        out, err = listing.communicate(timeout=60)
        assert listing.returncode == 0, err
        assert phone.serial in out and json.loads(out)
    with open_store(settings.store_url) as store:
        [summary] = store.list_runs()
        assert summary.run.status == "ok"
        assert store.get_run(summary.run.id).device.model == model
    listing = slm("results", "list")
    _, err = listing.communicate(timeout=60)
    assert listing.returncode == 0, err
