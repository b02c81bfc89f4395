"""The programs of device_runner/tests, compiled once for all tests that run them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

from toolkit.engines import ENGINES as SPECS
from toolkit.locks import exclusive
from toolkit.runtime.compile import compile_runner
from toolkit.runtime.engine_build import find_engine
from toolkit.runtime.runner_source import runner_source
from toolkit.runtime.toolchain import find_toolchain
from toolkit.settings import Settings

ENGINES = ("onnxruntime", "executorch") if find_spec("executorch") else ("onnxruntime",)
# The folder of a build that holds the programs.
TESTS = "tests"


def compile_programs(
    folder: Path, *targets: str, engines: Sequence[str] = ENGINES, **definitions: str
) -> Path:
    """Compile programs, all of them by default, with the flags of bundles; returns the build folder.

    A compiler cache has most of it then. A warning fails as an error does.
    """
    settings = Settings.from_environment()
    of_engines = {f"SLM_ENGINE_{engine.upper()}": "OFF" for engine in ("onnxruntime", "executorch")}
    for engine in engines:
        of_engines |= find_engine(SPECS.get(engine), settings).provide().definitions
    of_engines |= {f"SLM_ENGINE_{engine.upper()}": "ON" for engine in engines}
    compile_runner(
        runner_source(),
        folder / "build",
        find_toolchain(),
        log=folder / "build.log",
        definitions={
            **{"SLM_BUILD_TESTS": "ON", "SLM_BUILD_BENCHMARKS": "ON", "SLM_WARNINGS_AS_ERRORS": "OFF"},
            **of_engines,
            **definitions,
        },
        targets=targets or ("all",),
    )
    log = (folder / "build.log").read_text()
    assert "warning:" not in log, log
    return folder / "build"


@pytest.fixture(scope="session")
def compiled_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build folder of everything, optimized as bundles are; the first worker that asks compiles it."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with exclusive(folder / "compiled.lock"):
        return compile_programs(folder / "compiled")


@pytest.fixture(scope="session")
def programs(compiled_tree: Path) -> Path:
    """The folder of the programs that Python tests run."""
    return compiled_tree / TESTS
