"""What is refused before anything is pushed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from runs import SMALL
from tiny_decoder import HEAD_DIM, KV_HEADS, LAYERS

from toolkit.artifact import Artifact
from toolkit.devices.base import DeviceInfo
from toolkit.devices.local import LocalDevice
from toolkit.engines import ENGINES
from toolkit.errors import ArtifactCorrupt, DeviceBusy, DeviceFull, UsageError
from toolkit.profiling.request import check_context, parse_affinity
from toolkit.profiling.session.preflight import check_ram, minimum_ram_bytes
from toolkit.profiling.session.session import Session, profile
from toolkit.profiling.session.verified import verify_artifact
from toolkit.settings import Settings


@pytest.fixture
def copied(artifact: Artifact, tmp_path: Path) -> Artifact:
    shutil.copytree(artifact.path, tmp_path / "copied")
    return Artifact.load(tmp_path / "copied")


def change_a_byte(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))


def assert_nothing_happened(local: LocalDevice, session: Session) -> None:
    assert session.store.list_runs() == []
    assert not (session.settings.data_dir / "raw").exists()
    assert not Path(local.workdir, "artifacts").exists()


def test_more_tokens_than_context(local: LocalDevice, artifact: Artifact, session: Session) -> None:
    options = SMALL.model_copy(update={"depth": 237})
    with pytest.raises(UsageError, match="depth 237 .* = 257 tokens, its context length is 256"):
        profile(local, artifact, options, session)
    assert_nothing_happened(local, session)
    check_context(artifact, SMALL.model_copy(update={"depth": 236}))


def test_a_changed_byte(local: LocalDevice, copied: Artifact, session: Session) -> None:
    change_a_byte(copied.path / "model.onnx.data")
    with pytest.raises(ArtifactCorrupt, match=r"model\.onnx\.data"):
        profile(local, copied, SMALL, session)
    assert_nothing_happened(local, session)


def test_a_byte_changed_after_the_first_push_is_noticed(
    copied: Artifact, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own_cache = Settings(cache_dir=tmp_path / "cache", data_dir=settings.data_dir, store_url="sqlite://")
    verify_artifact(copied, own_cache)
    with monkeypatch.context() as patch:
        patch.setattr(Artifact, "verify", lambda self: pytest.fail("hashed again without a reason"))
        verify_artifact(copied, own_cache)
    change_a_byte(copied.path / "model.onnx.data")
    with pytest.raises(ArtifactCorrupt):
        verify_artifact(copied, own_cache)


def test_less_memory_than_the_weights(artifact: Artifact) -> None:
    needed = minimum_ram_bytes(artifact, SMALL)
    cache = 2 * LAYERS * KV_HEADS * HEAD_DIM * 4 * SMALL.tokens_per_repetition
    process = ENGINES.get(artifact.manifest.backend.name).storage.process_bytes
    assert needed == artifact.manifest.size_bytes + cache + process
    info = DeviceInfo(serial="phone-1", kind="adb", state="device", ram_bytes=needed - 1)
    with pytest.raises(DeviceFull, match="phone-1.* needs at least"):
        check_ram(artifact, SMALL, info)
    check_ram(artifact, SMALL, DeviceInfo(serial="phone-1", kind="adb", state="device", ram_bytes=needed))
    check_ram(artifact, SMALL, DeviceInfo(serial="phone-1", kind="adb", state="device", ram_bytes=None))


def test_a_device_in_use(local: LocalDevice, artifact: Artifact, session: Session) -> None:
    with local.lock(), pytest.raises(DeviceBusy):
        profile(local, artifact, SMALL, session)
    assert_nothing_happened(local, session)


@pytest.mark.parametrize(
    ("text", "cpus"), [("", ()), ("3", (3,)), ("0,2,4-7", (0, 2, 4, 5, 6, 7)), ("1, 1", (1,))]
)
def test_affinity(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_affinity(text) == cpus


@pytest.mark.parametrize("text", ["a", "1,", "-1", "1-", "1-b", "0x1", "²", "4-2", "0-99999999999"])
def test_affinity_that_is_no_list(text: str) -> None:
    with pytest.raises(UsageError, match="not a list of CPUs"):
        parse_affinity(text)
