"""The C++ unit tests, and the same under the sanitizers as part of the soak."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from compiled_programs import ENGINES, compile_programs

from toolkit.runtime.toolchain import find_toolchain


def run_unit_tests(build: Path) -> None:
    ctest = find_toolchain().cmake.with_name("ctest")
    done = subprocess.run(
        [ctest, "--test-dir", build, "--output-on-failure", "--no-tests=error"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(900)
def test_unit_tests_pass_without_any_compiler_warning(compiled_tree: Path) -> None:
    run_unit_tests(compiled_tree)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sanitizers", ["address,undefined", "thread"])
def test_unit_tests_pass_under_the_sanitizers(sanitizers: str, tmp_path: Path) -> None:
    definitions = {"CMAKE_BUILD_TYPE": "Debug", "SLM_SANITIZE": sanitizers}
    # ThreadSanitizer does not know what ExecuTorch's threads, which were built without it, wait for.
    engines = ENGINES if sanitizers == "address,undefined" else ("onnxruntime",)
    run_unit_tests(compile_programs(tmp_path, engines=engines, **definitions))
