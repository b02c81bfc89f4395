"""What keeps the runner buildable for Android apps: clang with libc++, and a C library of API level 26."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from toolkit.engines.onnxruntime.headers import find_headers
from toolkit.runtime.runner_source import runner_source
from toolkit.settings import Settings

# Debian's packages clang-14 and libc++-14-dev.
CLANG = shutil.which("clang++-14")
LIBCXX = Path("/usr/lib/llvm-14/include/c++/v1/__config")

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
INSTRUCTION_SETS = {
    "avx2.cpp": ["-mavx2", "-mfma"],
    "avx512_vnni.cpp": ["-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512vnni", "-mfma"],
    "neon_dot_product.cpp": ["-march=armv8.2-a+dotprod"],
}
# Of the cross compiler's package: the C library's; libc++'s are the same for every processor.
ARM64_HEADERS = Path("/usr/aarch64-linux-gnu/include")
TARGETS = {
    "x86_64": ["-stdlib=libc++"],
    "aarch64": [
        "--target=aarch64-linux-gnu", "-nostdinc++", f"-isystem{LIBCXX.parent}", f"-isystem{ARM64_HEADERS}",
    ],
}  # fmt: skip
# What arm64 compiles otherwise; all else is the same text for both.
OF_A_PROCESSOR = re.compile(
    r"__aarch64__|__x86_64__|kernels/(vectors|elementwise|matmul|attention|recurrence|peak)"
)
# Files of the other processor's instruction sets.
FOREIGN = {"x86_64": re.compile("^neon"), "aarch64": re.compile("^avx")}
DEFINITIONS = ["ORT_API_MANUAL_INIT", "C10_USING_CUSTOM_GENERATED_MACROS"]
TEXTS = ["SLM_RUNNER_VERSION", "SLM_BUILD_TYPE", "SLM_EXECUTORCH_VERSION"]

# Calls newer than API 26 and the level that brings them to Android's C library ("never": it has none of that
# name). Kept by hand: not all there are, and not checked against the NDK's headers.
NEWER_THAN_26 = {
    "aligned_alloc": "28", "getrandom": "28", "getentropy": "28", "posix_spawn": "28", "glob": "28",
    "fexecve": "28", "syncfs": "28", "iconv": "28", "pthread_setschedprio": "28", "fflush_unlocked": "28",
    "timespec_get": "29", "getloadavg": "29", "reallocarray": "29", "memfd_create": "30",
    "pthread_cond_clockwait": "30", "pthread_mutex_clocklock": "30", "sem_clockwait": "30",
    "pthread_setaffinity_np": "36", "pthread_getaffinity_np": "36",
    "backtrace": "33", "pthread_cancel": "never", "shm_open": "never",
}  # fmt: skip


def sources(*suffixes: str) -> Iterator[Path]:
    """Files of the runner itself, without its tests and benchmarks."""
    root = runner_source()
    for file in sorted(root.rglob("*")):
        outside = file.relative_to(root).parts[0].startswith(("tests", "benchmarks", "build"))
        if file.suffix in suffixes and not outside:
            yield file


@pytest.mark.timeout(900)
@pytest.mark.skipif(
    CLANG is None or not LIBCXX.is_file(), reason="needs Debian's packages clang-14 and libc++-14-dev"
)
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the compiler's own target is taken for x86-64")
@pytest.mark.parametrize("target", ["x86_64", "aarch64"])
def test_everything_compiles_with_clang_and_libcxx(target: str) -> None:
    assert CLANG is not None
    if target == "aarch64" and not ARM64_HEADERS.is_dir():
        pytest.skip("needs Debian's package g++-aarch64-linux-gnu")
    headers = [find_headers(Settings.from_environment()).provide()]
    spec = find_spec("executorch")
    if spec is not None and spec.submodule_search_locations:
        package = Path(spec.submodule_search_locations[0])
        portable = package / "include" / "executorch" / "runtime" / "core" / "portable_type" / "c10"
        headers += [package.parent, package / "include", portable]
    fixed = [CLANG, "-std=c++20", "-fsyntax-only", *WARNINGS, *TARGETS[target], f"-I{runner_source()}"]
    fixed += [f"-isystem{header}" for header in headers]
    fixed += [f"-D{name}" for name in DEFINITIONS] + [f'-D{name}="x"' for name in TEXTS]
    failures = []
    for file in sources(".cpp"):
        of_executorch = "executorch" in file.parts
        if FOREIGN[target].search(file.name) or (of_executorch and spec is None):
            continue
        if target == "aarch64" and not OF_A_PROCESSOR.search(file.read_text()):
            continue
        command = [*fixed, *INSTRUCTION_SETS.get(file.name, []), str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            failures.append(done.stderr)
    assert not failures, "\n".join(failures)


def test_nothing_newer_than_android_api_26_is_called() -> None:
    call = re.compile(rf"\b({'|'.join(NEWER_THAN_26)})\s*\(")
    found = [
        f"{file}:{number}: {match[1]} (API {NEWER_THAN_26[match[1]]})"
        for file in sources(".cpp", ".h")
        for number, line in enumerate(file.read_text().splitlines(), 1)
        if (match := call.search(line.partition("//")[0]))
    ]
    assert not found, "\n".join(found)
