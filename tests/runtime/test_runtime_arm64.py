"""The arm64 path through the real command line and the real adb client; the phone's processes run in qemu."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from private_adb import AdbServer
from virtual_phones import running_phone

from toolkit.devices.virtual.emulator import cpu_model
from toolkit.devices.virtual.fleet import VirtualPhone
from toolkit.devices.virtual.hardware import FEATURES_ARMV8_0, FEATURES_ARMV8_2
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

pytestmark = [
    # Two runners may have to be compiled first.
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        shutil.which("aarch64-linux-gnu-g++") is None, reason="needs Debian's package g++-aarch64-linux-gnu"
    ),
]
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


@pytest.fixture(scope="module")
def profiled(slm: Slm, artifact: Path, phone: VirtualPhone) -> dict[str, Any]:
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
def test_a_phone_is_profiled(profiled: dict[str, Any], slm: Slm, bundle: Bundle) -> None:
    run = profiled["run"]
    assert profiled["device"]["emulated"] is True
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
@pytest.mark.parametrize(
    ("features", "kernels"),
    [(FEATURES_ARMV8_2, "own:neon-dotprod"), (FEATURES_ARMV8_0, "own:portable")],
    ids=["cores with dot products", "older cores"],
)
@pytest.mark.parametrize("bundle", ["onnxruntime"], indirect=True)
def test_kernels_are_chosen_by_what_the_core_can_do(
    profiled: dict[str, Any],
    bundle: Bundle,
    phone: VirtualPhone,
    adb_server: AdbServer,
    features: str,
    kernels: str,
) -> None:
    argv = profiled["run"]["argv"]
    start, model = argv[: argv.index("profile")], argv[argv.index("--model") + 1]
    info = shlex.join([f"QEMU_CPU={cpu_model(features)}", *start, "info", "--model", model])
    done = adb_server.client.execute(["shell", info], serial=phone.serial, timeout_s=60)
    assert json.loads(done.stdout)["kernels"] == kernels


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
