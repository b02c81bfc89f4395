"""The C++ unit tests, and the same under the sanitizers as part of the soak."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from toolkit.engines.onnxruntime.headers import find_headers
from toolkit.runtime.compile import compile_runner
from toolkit.runtime.runner_source import runner_source
from toolkit.runtime.toolchain import find_toolchain
from toolkit.settings import Settings


def run_unit_tests(build: Path, **definitions: str) -> None:
    toolchain = find_toolchain()
    include_dir = find_headers(Settings.from_environment()).provide()
    fixed = {"SLM_BUILD_TESTS": "ON", "SLM_BUILD_BENCHMARKS": "ON", "ORT_INCLUDE_DIR": str(include_dir)}
    compile_runner(
        runner_source(), build, toolchain, log=build.with_suffix(".log"), definitions=fixed | definitions
    )
    ctest = toolchain.cmake.with_name("ctest")
    done = subprocess.run(
        [ctest, "--test-dir", build, "--output-on-failure", "--no-tests=error"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_unit_tests_pass_without_any_compiler_warning(tmp_path: Path) -> None:
    run_unit_tests(tmp_path / "build", CMAKE_BUILD_TYPE="Debug", CMAKE_CXX_FLAGS_DEBUG="-O0")


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_unit_tests_pass_under_the_sanitizers(sanitizers: str, tmp_path: Path) -> None:
    run_unit_tests(tmp_path / "build", CMAKE_BUILD_TYPE="Debug", SLM_SANITIZE=sanitizers)
