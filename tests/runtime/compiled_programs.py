"""Programs of device_runner/tests that Python tests run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from toolkit.engines import ENGINES
from toolkit.runtime.compile import compile_runner
from toolkit.runtime.engine_build import find_engine
from toolkit.runtime.runner_source import runner_source
from toolkit.runtime.toolchain import find_toolchain
from toolkit.settings import Settings


def compile_with_executorch(folder: Path, *targets: str, **definitions: str) -> Path:
    """Compile programs that need ExecuTorch; returns where they are."""
    return _compile("executorch", folder, targets, definitions)


def compile_with_onnxruntime(folder: Path, *targets: str, **definitions: str) -> Path:
    """Compile programs that need ONNX Runtime's headers; returns where they are."""
    return _compile("onnxruntime", folder, targets, definitions)


def _compile(name: str, folder: Path, targets: Sequence[str], definitions: Mapping[str, str]) -> Path:
    engine = find_engine(ENGINES.get(name), Settings.from_environment())
    compile_runner(
        runner_source(),
        folder / "build",
        find_toolchain(),
        log=folder / "build.log",
        definitions={"SLM_BUILD_TESTS": "ON", **engine.provide().definitions, **definitions},
        targets=targets,
    )
    return folder / "build" / "tests"
