"""The arm64 path through the real command line and the real adb client; the phone's processes run in qemu."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from private_adb import AdbServer
from virtual_phones import running_phone

from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.hardware import FEATURES_ARMV8_0
from toolkit.devices.virtual.spec import PhoneSpec
from toolkit.errors import BuildFailed
from toolkit.runtime.bundle import Bundle, build_bundle
from toolkit.runtime.elf import MACHINES, read_elf
from toolkit.runtime.toolchain import find_toolchain
from toolkit.settings import Settings

ABI = "arm64-v8a"
ENGINES = ("onnxruntime", "executorch")
PROFILE_FLAGS = [
    *("--prompt-tokens", "16", "--generate-tokens", "4", "--repetitions", "1", "--warmup", "0"),
    *("--threads", "1", "--gate", "off", "--json"),
]

pytestmark = pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-g++") is None,
    reason="needs Debian's package g++-aarch64-linux-gnu",
)
needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-aarch64-static") is None and shutil.which("qemu-aarch64") is None,
    reason="needs Debian's package qemu-user-static",
)

Slm = Callable[..., str]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Results and phones of its own, but the user's cache: bundles are built once."""
    data = tmp_path_factory.mktemp("arm64")
    return dataclasses.replace(
        Settings.from_environment(), data_dir=data, store_url=f"sqlite:///{data / 'results.db'}"
    )


@pytest.fixture(scope="module")
def slm(settings: Settings) -> Slm:
    """Runs the command line and gives what it prints."""

    def run(*arguments: object) -> str:
        environ = {**os.environ, "SLM_DATA_DIR": str(settings.data_dir), "SLM_STORE_URL": settings.store_url}
        done = subprocess.run(
            [sys.executable, "-m", "toolkit.cli.main", *map(str, arguments)],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture(scope="module", params=ENGINES)
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return build_bundle(ABI, Settings.from_environment(), engine=request.param)


@pytest.fixture(scope="module")
def artifact(bundle: Bundle, slm: Slm, settings: Settings) -> Path:
    folder = settings.data_dir / f"tiny-{bundle.engine}"
    slm("convert", "random:llama-tiny", "--quant", "8da4w", "--backend", bundle.engine, "-o", folder)
    return folder


@pytest.fixture(scope="module")
def phone(adb_server: AdbServer, settings: Settings) -> Iterator[VirtualPhone]:
    with running_phone(
        adb_server.client, settings, PhoneSpec("arm", model="Virtual Arm", abi=ABI)
    ) as started:
        yield started


@pytest.fixture
def old_phone(adb_server: AdbServer, settings: Settings) -> Iterator[VirtualPhone]:
    """A phone whose cores have no dot product instructions."""
    spec = PhoneSpec("old-arm", model="Virtual Old Arm", abi=ABI, cpu_features=FEATURES_ARMV8_0)
    with running_phone(adb_server.client, settings, spec) as started:
        yield started


def profile(slm: Slm, artifact: Path, phone: VirtualPhone) -> dict[str, Any]:
    (result,) = json.loads(slm("profile", artifact, "-d", phone.serial, *PROFILE_FLAGS))
    return dict(result)


def test_everything_in_the_bundle_is_arm64_and_fits_pages_of_16_kb(bundle: Bundle) -> None:
    for entry in bundle.files:
        elf = read_elf(bundle.path / entry.path)
        assert elf.machine == MACHINES[ABI], entry.path
        assert min(elf.load_alignments) >= 16384, entry.path


def test_the_bundle_says_what_it_is_and_brings_licence_texts(bundle: Bundle) -> None:
    described = json.loads((bundle.path / "bundle.json").read_text())
    assert described["abi"] == ABI
    assert described["sha256"] == bundle.sha256
    assert described["size_bytes"] == sum(entry["size_bytes"] for entry in described["files"])
    names = {Path(entry.path).name for entry in bundle.licenses}
    assert any(name.startswith(bundle.engine) for name in names)
    assert {"LGPL-2.1.txt", "GPL-3.txt"} <= names


@needs_qemu
def test_a_phone_is_profiled(slm: Slm, bundle: Bundle, artifact: Path, phone: VirtualPhone) -> None:
    result = profile(slm, artifact, phone)
    run = result["run"]
    assert result["device"]["emulated"] is True
    assert (run["status"], run["abi"], run["engine"]) == ("ok", ABI, bundle.engine)
    assert run["bundle_sha256"] == bundle.sha256
    assert run["greedy_matched"] == run["greedy_total"] > 0
    assert "(emulated)" in slm("results", "list")
    if bundle.engine == "onnxruntime":
        assert run["kernels"] == "own:neon-dotprod"


@needs_qemu
def test_a_phone_generates(slm: Slm, artifact: Path, phone: VirtualPhone) -> None:
    said = json.loads(slm("generate", artifact, "-d", phone.serial, "-p", "hello", "-n", "4", "--json"))
    assert said["prompt_ids"]
    assert len(said["token_ids"]) == len(said["token_ns"]) == 4


@needs_qemu
@pytest.mark.parametrize("bundle", ["onnxruntime"], indirect=True)
def test_old_cores_fall_back_to_portable_kernels(
    slm: Slm, artifact: Path, bundle: Bundle, old_phone: VirtualPhone
) -> None:
    run = profile(slm, artifact, old_phone)["run"]
    assert run["kernels"] == "own:portable"
    assert run["greedy_matched"] == run["greedy_total"]


@pytest.mark.soak
def test_the_same_bundle_comes_out_of_another_folder(bundle: Bundle, tmp_path: Path) -> None:
    elsewhere = dataclasses.replace(Settings.from_environment(), cache_dir=tmp_path / "another cache")
    for name in ("engines", "onnxruntime-headers"):
        kept = Settings.from_environment().cache_dir / name
        if kept.is_dir():
            shutil.copytree(kept, elsewhere.cache_dir / name)
    again = build_bundle(ABI, elsewhere, engine=bundle.engine)
    assert again.path != bundle.path
    assert (again.sha256, again.licenses) == (bundle.sha256, bundle.licenses)


def test_a_missing_cross_compiler_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match=r"apt-get install g\+\+-aarch64-linux-gnu") as failure:
        find_toolchain({"PATH": str(tmp_path), "CXX": "g++"}, abi=ABI)
    assert "aarch64-linux-gnu-g++ is not on PATH" in failure.value.what
