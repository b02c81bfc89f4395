"""The engine's shared library, taken out of the installed wheel without importing it."""

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
