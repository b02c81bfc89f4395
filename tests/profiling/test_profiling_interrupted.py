"""Ctrl-C at every stage: exit code 130, no row, no raw files, nothing running or half pushed on the phone."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from runs import ENDLESS_FLAGS, runner_pids, wait_for
from slm_process import SlmProcess

from toolkit.artifact import Artifact, FileEntry, Manifest
from toolkit.devices.discovery import open_device
from toolkit.devices.interrupt import Interrupt, interruptible_by
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.files import sha256_of
from toolkit.profiling.session.launch import abandon, make_run_dir
from toolkit.settings import Settings
from toolkit.store import open_store

WORKDIR = "data/local/tmp/slm-toolkit"
BIG_BYTES = 400_000_000
RUN_ID = "a1b2c3d4e5f6g7h8"


@pytest.fixture
def big_artifact(artifact: Artifact, tmp_path: Path) -> Artifact:
    """An artifact whose push takes long enough to be interrupted; the big file takes no disk space here."""
    folder = tmp_path / "big"
    shutil.copytree(artifact.path, folder)
    with (folder / "big.bin").open("wb") as file:
        file.truncate(BIG_BYTES)
    entry = FileEntry(path="big.bin", size_bytes=BIG_BYTES, sha256=sha256_of(folder / "big.bin"))
    manifest = artifact.manifest.model_copy(update={"files": [*artifact.manifest.files, entry]})
    (folder / "manifest.json").write_text(manifest.model_dump_json(by_alias=True))
    assert Manifest.model_validate_json((folder / "manifest.json").read_text())
    return Artifact.load(folder)


def assert_nothing_left(settings: Settings, phone: VirtualPhone) -> None:
    with open_store(settings.store_url) as store:
        assert store.list_runs() == []
    raw = settings.data_dir / "raw"
    assert not raw.exists() or list(raw.iterdir()) == []
    on_phone = phone.root / WORKDIR
    assert list(on_phone.rglob("*.part")) == []
    assert not (on_phone / "runs").exists() or list((on_phone / "runs").iterdir()) == []


def test_while_pushing(
    slm: SlmProcess, phone: VirtualPhone, big_artifact: Artifact, settings: Settings
) -> None:
    process = slm("profile", big_artifact.path, "-d", phone.serial, *ENDLESS_FLAGS)
    wait_for(lambda: list((phone.root / WORKDIR).rglob("big.bin.part")))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert_nothing_left(settings, phone)
    assert not list((phone.root / WORKDIR).rglob("big.bin")), "half a file has no final name"


def test_while_running(slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings) -> None:
    process = slm("profile", artifact.path, "-d", phone.serial, *ENDLESS_FLAGS)
    runs = phone.root / WORKDIR / "runs"
    run_id = wait_for(
        lambda: next((path.parent.name for path in runs.glob("*/pid") if runner_pids(path.parent.name)), None)
    )
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert runner_pids(run_id) == []
    assert_nothing_left(settings, phone)


def test_while_cleaning_up(phone: VirtualPhone, settings: Settings) -> None:
    device = open_device(phone.serial, settings)
    make_run_dir(device, RUN_ID)
    interrupt = Interrupt()
    interrupt.request()
    with interruptible_by(interrupt), pytest.raises(KeyboardInterrupt):
        abandon(device, RUN_ID)
    assert_nothing_left(settings, phone)


def test_while_generating(
    slm: SlmProcess, phone: VirtualPhone, artifact: Artifact, settings: Settings
) -> None:
    process = slm("generate", artifact.path, "-d", phone.serial, "-p", "w5 w6", "--max-tokens", "10000")
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    # It may have come to its end just before.
    assert process.returncode in (0, 130)
    assert runner_pids() == []
    assert_nothing_left(settings, phone)
