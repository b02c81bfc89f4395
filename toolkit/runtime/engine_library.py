"""The engines' shared libraries, taken out of the installed wheels without importing them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import EngineMismatch


@dataclass(frozen=True)
class EngineLibrary:
    """A shared library and the name that the runner opens it by."""

    engine: str
    version: str
    path: Path
    soname: str

    @property
    def minor(self) -> int:
        """The part of the version that counts ONNX Runtime's C interface: 31 in 1.31.1."""
        return int(self.version.split(".")[1])


def find_onnxruntime() -> EngineLibrary:
    """Locate libonnxruntime in the installed onnxruntime wheel.

    Raises:
        EngineMismatch: the wheel is not installed or holds no such library.
    """
    install = "Install the engine: pip install 'slm-toolkit[runner]'"
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        raise EngineMismatch("the onnxruntime package is not installed", next_step=install)
    try:
        version = importlib.metadata.version("onnxruntime")
    except importlib.metadata.PackageNotFoundError:
        raise EngineMismatch(
            "onnxruntime is there but its package metadata is not", subject=spec.origin, next_step=install
        ) from None
    capi = Path(spec.origin).parent / "capi"
    libraries = sorted(capi.glob("libonnxruntime.so.*"))
    if not libraries:
        raise EngineMismatch("holds no libonnxruntime.so", subject=str(capi), next_step=install)
    return EngineLibrary("onnxruntime", version, libraries[-1], "libonnxruntime.so.1")


# What a decoder needs; the wheel holds other backends as well.
_EXECUTORCH_LIBRARIES = (
    "libexecutorch.so",
    "libexecutorch_threadpool.so",
    "libexecutorch_kernels_optimized.so",
    "libexecutorch_kernels_quantized.so",
    "libexecutorch_backend_xnnpack.so",
)


@dataclass(frozen=True)
class ExecutorchPackage:
    """The installed executorch package: ``path`` holds its CMake files, headers and libraries."""

    version: str
    path: Path

    @property
    def libraries(self) -> list[Path]:
        """The shared libraries that the runner is linked with."""
        return [self.path / "lib" / name for name in _EXECUTORCH_LIBRARIES]


def find_executorch() -> ExecutorchPackage:
    """Locate the executorch package with its libraries.

    Raises:
        EngineMismatch: it is not installed, or its wheel has no C++ libraries.
    """
    install = "Install the engine: pip install 'slm-toolkit[executorch]'"
    spec = importlib.util.find_spec("executorch")
    try:
        version = importlib.metadata.version("executorch")
    except importlib.metadata.PackageNotFoundError:
        version = None
    # A namespace package: it may have several folders, of which one came with the wheel.
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    if version is None or not folders:
        raise EngineMismatch("the executorch package is not installed", next_step=install)
    for folder in folders:
        package = ExecutorchPackage(version, folder)
        if all(library.is_file() for library in package.libraries):
            return package
    raise EngineMismatch(
        f"executorch {version} holds no {_EXECUTORCH_LIBRARIES[0]} or not all libraries beside it",
        subject=str(folders[0]),
        next_step=install,
    )
