"""Building bundles: what is in them, when they are built again, what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from toolkit.engines.onnxruntime import ONNXRUNTIME
from toolkit.errors import BuildFailed, EngineMismatch, UsageError
from toolkit.files import sha256_of
from toolkit.runtime import engine_build
from toolkit.runtime.abi import check_abi, runnable_host_abi
from toolkit.runtime.bundle import Bundle, build_bundle, list_bundles, load_bundle
from toolkit.runtime.compile import compile_runner
from toolkit.runtime.engine_library import InstalledEngine, find_installed
from toolkit.runtime.runner_source import runner_source, source_sha256
from toolkit.runtime.toolchain import cmake_version, find_toolchain
from toolkit.settings import Settings


def settings_in(folder: Path) -> Settings:
    return Settings.from_environment(
        {"SLM_CACHE_DIR": str(folder / "cache"), "SLM_DATA_DIR": str(folder / "data")}
    )


def test_files_are_described_by_size_and_hash(bundle: Bundle) -> None:
    assert {entry.path for entry in bundle.files} >= {
        bundle.loader,
        "slm-runner-ort",
        "lib/libonnxruntime.so.1",
    }
    for entry in bundle.files:
        assert (bundle.path / entry.path).stat().st_size == entry.size_bytes
        assert sha256_of(bundle.path / entry.path) == entry.sha256
    for name in bundle.executables:
        assert os.access(bundle.path / name, os.X_OK)


def test_command_starts_the_runner_through_its_own_loader(bundle: Bundle) -> None:
    assert bundle.command("/data/x") == [
        f"/data/x/{bundle.loader}", "--library-path", "/data/x/lib", "/data/x/slm-runner-ort",
    ]  # fmt: skip


def test_a_copy_runs_from_any_folder(bundle: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "a folder"
    shutil.copytree(bundle.path, copy)
    done = subprocess.run([*bundle.command(str(copy)), "info"], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="chroot needs root")
def test_it_runs_in_an_empty_root(bundle: Bundle, tmp_path: Path) -> None:
    shutil.copytree(bundle.path, tmp_path / "bundle")
    done = subprocess.run(
        ["chroot", tmp_path, *bundle.command("/bundle"), "info"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["abi"] == bundle.abi


def test_no_telemetry_files_appear(bundle: Bundle, model: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    arguments = ["info", "--model", str(model)]
    environ = {"HOME": str(home), "ORT_DISABLE_TELEMETRY": "0"}
    subprocess.run(
        [*bundle.command(str(bundle.path)), *arguments], env=environ, check=True, capture_output=True
    )
    assert list(home.rglob("*")) == []


def test_the_second_build_is_the_first_one(bundle: Bundle) -> None:
    again = build_bundle("host", Settings.from_environment())
    assert again == bundle
    assert bundle in list_bundles(Settings.from_environment())


def test_incomplete_bundles_are_not_bundles(bundle: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    assert load_bundle(copy) is not None
    (copy / "slm-runner-ort").write_bytes(b"short")
    assert load_bundle(copy) is None
    shutil.copytree(bundle.path, copy, dirs_exist_ok=True)
    (copy / "lib/libc.so.6").unlink()
    assert load_bundle(copy) is None
    (copy / "bundle.json").write_text("{")
    assert load_bundle(copy) is None
    assert load_bundle(tmp_path / "absent") is None


def test_abis_are_the_hosts_and_those_with_a_cross_compiler() -> None:
    assert check_abi("host") == check_abi(runnable_host_abi()) == runnable_host_abi()
    assert check_abi("arm64-v8a") == "arm64-v8a"
    with pytest.raises(UsageError, match="Available: host, x86_64, arm64-v8a"):
        check_abi("armeabi")


def test_unknown_engines_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Available: onnxruntime"):
        build_bundle("host", settings_in(tmp_path), engine="tflite")


def test_engines_older_than_the_headers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = InstalledEngine("1.20.1", find_installed(ONNXRUNTIME).site)
    monkeypatch.setattr(engine_build, "find_installed", lambda engine: old)
    with pytest.raises(EngineMismatch, match=r"1\.20\.1 is older than the headers"):
        build_bundle("host", settings_in(tmp_path))


def test_sources_are_identified_by_what_is_compiled(tmp_path: Path) -> None:
    copy = tmp_path / "runner"
    shutil.copytree(runner_source(), copy, ignore=shutil.ignore_patterns("build*"))
    before = source_sha256(copy)
    assert before == source_sha256(runner_source())
    (copy / "tests" / "extra.cpp").write_text("")
    assert source_sha256(copy) == before
    (copy / "engine" / "clock.h").write_text("// changed")
    assert source_sha256(copy) != before


def test_compile_errors_show_the_end_of_the_log_and_its_path(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.28)\nproject(x CXX)\nadd_executable(x x.cpp)\n"
    )
    (tmp_path / "x.cpp").write_text("int main() { return undeclared_name; }\n")
    log = tmp_path / "x.log"
    with pytest.raises(BuildFailed) as failure:
        compile_runner(tmp_path, tmp_path / "b", find_toolchain(), log=log, definitions={})
    assert "undeclared_name" in failure.value.what
    assert str(log) in (failure.value.next_step or "")
    assert "undeclared_name" in log.read_text()


def test_a_missing_compiler_is_named(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="no C\\+\\+ compiler: g\\+\\+ is not on PATH"):
        find_toolchain({"PATH": str(tmp_path)})
    with pytest.raises(BuildFailed, match="my-compiler is not on PATH"):
        find_toolchain({"PATH": os.environ["PATH"], "CXX": "my-compiler"})


def test_cmake_versions_are_read() -> None:
    assert cmake_version("cmake version 3.25.1\n\nCMake suite") == (3, 25)
    assert cmake_version("cmake version 4.4.4") == (4, 4)
    assert cmake_version("something else") == (0, 0)


def test_a_bundle_of_an_engine_that_is_gone_is_none(bundle: Bundle, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(bundle.path, copy)
    assert load_bundle(copy) is not None
    described = json.loads((copy / "bundle.json").read_text())
    (copy / "bundle.json").write_text(json.dumps(described | {"engine": "gone"}))
    assert load_bundle(copy) is None
