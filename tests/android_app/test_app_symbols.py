"""What the app's library asks of the C library, built as for Android: nothing newer than API 26."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from toolkit.app.source import app_source
from toolkit.engines.onnxruntime.headers import find_headers
from toolkit.runtime.runner_source import runner_source
from toolkit.settings import Settings

LISTED = Path(__file__).parent / "android_26_symbols.txt"


def listed() -> dict[str, str]:
    """Symbol of glibc -> the name that Android's C library has for it at API 26."""
    lines = [line.split("#")[0].split() for line in LISTED.read_text().splitlines()]
    return {words[0]: words[-1] for words in lines if words}


needs_clang = pytest.mark.skipif(
    not shutil.which("clang++-14") or not Path("/usr/lib/llvm-14/include/c++/v1/__config").is_file(),
    reason="needs Debian's packages clang-14, libc++-14-dev and libc++abi-14-dev",
)


@needs_clang
def test_the_bridge_compiles_with_clang_and_libcxx() -> None:
    jni = next(iter(Path("/usr/lib/jvm").glob("*/include/jni.h")), None)
    if jni is None:
        pytest.skip("needs Debian's package openjdk-17-jdk-headless")
    native = app_source() / "native"
    headers = [jni.parent, jni.parent / "linux", find_headers(Settings.from_environment()).provide()]
    command = ["clang++-14", "-stdlib=libc++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror"]
    command += [f"-I{runner_source()}", *(f"-isystem{folder}" for folder in headers)]
    # The core is compiled so in tests/runtime; ExecuTorch's headers are in an extra.
    files = [file for file in sorted(native.glob("*.cpp")) if file.name != "executorch.cpp"]
    assert len(files) == 3
    done = subprocess.run([*command, "-DORT_API_MANUAL_INIT", *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.soak
@pytest.mark.timeout(1800)
@needs_clang
def test_the_library_needs_nothing_newer_than_android_api_26(tmp_path: Path) -> None:
    configure = [
        *("cmake", "-G", "Ninja", "-S", app_source() / "native", "-B", tmp_path),
        *("-DCMAKE_CXX_COMPILER=clang++-14", "-DCMAKE_CXX_FLAGS=-stdlib=libc++"),
        f"-DORT_INCLUDE_DIR={find_headers(Settings.from_environment()).provide()}",
        f"-DSLM_DEVICE_RUNNER={runner_source()}",
    ]
    for command in (configure, ["ninja", "-C", tmp_path, "slm_ort"]):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    nm = ["nm", "-D", "--undefined-only", tmp_path / "libslm_ort.so"]
    asked = subprocess.run(nm, capture_output=True, text=True, check=True).stdout.split()
    of_libc = {word.partition("@")[0] for word in asked if "@GLIBC_" in word}
    assert len(of_libc) > 30
    assert of_libc - set(listed()) == set()
