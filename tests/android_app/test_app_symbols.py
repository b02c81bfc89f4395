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


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    not shutil.which("clang++-14") or not Path("/usr/lib/llvm-14/include/c++/v1/__config").is_file(),
    reason="needs Debian's packages clang-14, libc++-14-dev and libc++abi-14-dev",
)
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
