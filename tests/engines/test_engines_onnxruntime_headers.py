"""Where the ONNX Runtime headers come from. The npm client is replaced by a script of the same name."""

from __future__ import annotations

import dataclasses
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from toolkit.engines.onnxruntime import headers as headers_module
from toolkit.engines.onnxruntime.headers import extract_headers, find_headers
from toolkit.errors import BuildFailed
from toolkit.files import sha256_of
from toolkit.settings import Settings

HEADER = b"#define ORT_API_VERSION 29\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment(
        {"SLM_CACHE_DIR": str(tmp_path / "cache"), "SLM_DATA_DIR": str(tmp_path / "data")}
    )


def package(path: Path, members: dict[str, bytes]) -> Path:
    """An npm package with an Android archive of these members in it."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as inner:
        for name, content in members.items():
            inner.writestr(name, content)
    with tarfile.open(path, "w:gz") as outer:
        entry = tarfile.TarInfo("package/Plugins/Android/onnxruntime.aar")
        entry.size = len(archive.getvalue())
        outer.addfile(entry, io.BytesIO(archive.getvalue()))
    return path


def fake_npm(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_headers_are_downloaded_once_and_kept_alone(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = package(
        tmp_path / "good.tgz",
        {
            "headers/onnxruntime_c_api.h": HEADER,
            "headers/x.inc": b"x",
            "jni/lib.so": b"binary",
            "headers/": b"",
        },
    )
    monkeypatch.setattr(
        headers_module, "PACKAGE", dataclasses.replace(headers_module.PACKAGE, sha256=sha256_of(good))
    )
    fake_npm(tmp_path / "bin", monkeypatch, f"cp {good} package.tgz; echo called >> {tmp_path}/calls")
    for _ in range(2):
        folder = find_headers(settings, {}).provide()
    assert sorted(file.name for file in folder.iterdir()) == ["onnxruntime_c_api.h", "x.inc"]
    assert (tmp_path / "calls").read_text() == "called\n"
    assert [p.name for p in folder.parent.iterdir() if p.name.startswith(".download")] == []


def test_a_package_with_another_hash_is_refused_and_removed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = package(tmp_path / "changed.tgz", {"headers/onnxruntime_c_api.h": HEADER})
    fake_npm(tmp_path / "bin", monkeypatch, f"cp {changed} package.tgz")
    with pytest.raises(BuildFailed, match="has sha256 .* expected e597") as failure:
        find_headers(settings, {}).provide()
    assert "ORT_INCLUDE_DIR" in (failure.value.next_step or "")
    leftovers = [p.name for p in (settings.cache_dir / "onnxruntime-headers").iterdir()]
    assert leftovers == [f".{headers_module.ORT_VERSION}.lock"]


def test_npm_failures_say_what_to_do(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_npm(tmp_path / "bin", monkeypatch, "echo 'getaddrinfo ENOTFOUND' >&2; exit 1")
    with pytest.raises(BuildFailed, match="ENOTFOUND") as failure:
        find_headers(settings, {}).provide()
    assert "Check the network" in (failure.value.next_step or "")


def test_a_missing_npm_is_named(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailed, match="npm is not installed"):
        find_headers(settings, {}).provide()


@pytest.mark.parametrize(
    "members", [{}, {"jni/lib.so": b"x"}, {"headers/other.h": b"x"}], ids=["empty", "no headers", "others"]
)
def test_packages_laid_out_otherwise_are_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(BuildFailed, match="holds no"):
        extract_headers(package(tmp_path / "p.tgz", members), tmp_path / "out")


def test_packages_that_are_no_archives_are_refused(tmp_path: Path) -> None:
    (tmp_path / "p.tgz").write_bytes(b"<html>blocked</html>")
    with pytest.raises(BuildFailed, match="holds no readable"):
        extract_headers(tmp_path / "p.tgz", tmp_path / "out")


def test_ort_include_dir_replaces_the_download(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime_c_api.h").write_bytes(b"#define ORT_API_VERSION 31\n")
    headers = find_headers(settings, {"ORT_INCLUDE_DIR": str(tmp_path)})
    assert headers.provide() == tmp_path
    assert headers.interface_version == 31
    before = headers.identity
    (tmp_path / "onnxruntime_c_api.h").write_bytes(b"#define ORT_API_VERSION 30\n")
    assert find_headers(settings, {"ORT_INCLUDE_DIR": str(tmp_path)}).identity != before


def test_ort_include_dir_without_headers_is_refused(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="ORT_INCLUDE_DIR holds no onnxruntime_c_api.h"):
        find_headers(settings, {"ORT_INCLUDE_DIR": str(tmp_path)})
