"""Engines for another ABI come through the user's own pip; a folder stands in for the index."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from toolkit.engines.onnxruntime import ONNXRUNTIME
from toolkit.engines.spec import EngineSpec
from toolkit.errors import BuildFailed, EngineMismatch
from toolkit.files import sha256_of
from toolkit.runtime.engine_library import engine_libraries, engine_licenses
from toolkit.runtime.engine_wheel import find_wheel, unpack_wheel
from toolkit.settings import Settings

WHEEL = "onnxruntime-9.9.9-cp312-cp312-manylinux_2_28_aarch64.whl"
METADATA = "Metadata-Version: 2.1\nName: onnxruntime\nVersion: 9.9.9\nRequires-Dist: numpy\n"
TAGS = (
    "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: cp312-cp312-manylinux_2_28_aarch64\n"
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment(
        {"SLM_CACHE_DIR": str(tmp_path / "cache"), "SLM_DATA_DIR": str(tmp_path / "data")}
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip is configured to take packages from, and nothing else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_wheel(folder: Path, members: dict[str, bytes]) -> Path:
    path = folder / WHEEL
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
        wheel.writestr("onnxruntime-9.9.9.dist-info/METADATA", METADATA)
        wheel.writestr("onnxruntime-9.9.9.dist-info/WHEEL", TAGS)
        wheel.writestr("onnxruntime-9.9.9.dist-info/RECORD", "")
    return path


def pinned(sha256: str) -> EngineSpec:
    """The engine with one known wheel."""
    runner = replace(ONNXRUNTIME.needed_runner(), wheels={("9.9.9", "arm64-v8a"): sha256})
    return replace(ONNXRUNTIME, runner=runner)


GOOD = {
    "onnxruntime/__init__.py": b"import this",
    "onnxruntime/LICENSE": b"MIT",
    "onnxruntime/capi/libonnxruntime.so.9.9.9": b"library",
    "onnxruntime/capi/onnxruntime_pybind11_state.so": b"python",
}


def test_the_pinned_wheel_is_downloaded_once_and_its_library_kept(settings: Settings, index: Path) -> None:
    engine = pinned(sha256_of(put_wheel(index, GOOD)))
    site = find_wheel(engine, "9.9.9", "arm64-v8a", settings).provide()
    libraries = engine_libraries(engine, site)
    assert {name: path.read_bytes() for name, path in libraries.items()} == {
        "libonnxruntime.so.1": b"library"
    }
    assert list(engine_licenses(engine, "9.9.9", site)) == ["onnxruntime-LICENSE.txt"]
    assert not list(site.rglob("*.py"))
    (index / WHEEL).unlink()
    assert find_wheel(engine, "9.9.9", "arm64-v8a", settings).provide() == site


def test_a_wheel_with_another_hash_is_refused_and_leaves_nothing(settings: Settings, index: Path) -> None:
    good = sha256_of(put_wheel(index, GOOD))
    put_wheel(index, {**GOOD, "onnxruntime/capi/libonnxruntime.so.9.9.9": b"changed"})
    wheel = find_wheel(pinned(good), "9.9.9", "arm64-v8a", settings)
    with pytest.raises(BuildFailed, match=f"Expected sha256 {good}"):
        wheel.provide()
    assert not wheel.path.exists()
    put_wheel(index, GOOD)
    engine = pinned(sha256_of(index / WHEEL))
    assert find_wheel(engine, "9.9.9", "arm64-v8a", settings).provide().is_dir()


def test_a_download_that_fails_says_what_pip_said(settings: Settings, index: Path) -> None:
    with pytest.raises(BuildFailed, match="No matching distribution"):
        find_wheel(pinned("0" * 64), "9.9.9", "arm64-v8a", settings).provide()


def test_versions_without_a_pinned_wheel_are_refused(settings: Settings) -> None:
    with pytest.raises(EngineMismatch, match=r"no wheel of onnxruntime 1\.0\.0 for arm64-v8a is known"):
        find_wheel(ONNXRUNTIME, "1.0.0", "arm64-v8a", settings)


def test_other_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged.whl").write_bytes(b"PK no")
    with pytest.raises(BuildFailed, match="is damaged"):
        unpack_wheel(tmp_path / "damaged.whl", tmp_path / "a", ("onnxruntime/capi/",))
    with zipfile.ZipFile(tmp_path / "numpy.whl", "w") as wheel:
        wheel.writestr("numpy/__init__.py", "")
    with pytest.raises(BuildFailed, match="holds no engine library"):
        unpack_wheel(tmp_path / "numpy.whl", tmp_path / "b", ("onnxruntime/capi/",))
