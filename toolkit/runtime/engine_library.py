"""The engines' shared libraries, taken out of wheels without importing them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import EngineMismatch

# What a decoder needs; the wheel holds other backends as well.
_EXECUTORCH_LIBRARIES = (
    "libexecutorch.so",
    "libexecutorch_threadpool.so",
    "libexecutorch_kernels_optimized.so",
    "libexecutorch_kernels_quantized.so",
    "libexecutorch_backend_xnnpack.so",
)
_INSTALL = {
    "onnxruntime": "Install the engine: pip install 'slm-toolkit[runner]'",
    "executorch": "Install the engine: pip install 'slm-toolkit[executorch]'",
}


@dataclass(frozen=True)
class InstalledEngine:
    """An engine's package in this environment.

    Attributes:
        site: the folder that the wheel was unpacked into.
    """

    engine: str
    version: str
    site: Path

    @property
    def minor(self) -> int:
        """The part of the version that counts ONNX Runtime's C interface: 31 in 1.31.1."""
        return int(self.version.split(".")[1])


def find_installed(engine: str) -> InstalledEngine:
    """Locate the engine's installed package.

    Raises:
        EngineMismatch: it is not installed.
    """
    install = _INSTALL[engine]
    spec = importlib.util.find_spec(engine)
    # A namespace package may have several folders, of which one came with the wheel.
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    if not folders:
        raise EngineMismatch(f"the {engine} package is not installed", next_step=install)
    try:
        version = importlib.metadata.version(engine)
    except importlib.metadata.PackageNotFoundError:
        raise EngineMismatch(
            f"{engine} is there but its package metadata is not", subject=str(folders[0]), next_step=install
        ) from None
    sites = [folder.parent for folder in folders]
    return InstalledEngine(engine, version, next(filter(lambda s: _libraries(engine, s), sites), sites[0]))


def engine_libraries(engine: str, site: Path) -> dict[str, Path]:
    """Name in a bundle's ``lib`` -> library, for an engine's wheel that was unpacked into ``site``.

    Raises:
        EngineMismatch: they are not all there.
    """
    found = _libraries(engine, site)
    if not found:
        raise EngineMismatch(
            f"the {engine} package holds no {_first_library(engine)}, or not all libraries beside it",
            subject=str(site),
            next_step=_INSTALL[engine],
        )
    return found


def engine_licenses(engine: str, version: str, site: Path) -> dict[str, Path]:
    """File name -> licence text that came with the wheel."""
    texts = [
        *(site / engine / name for name in ("LICENSE", "ThirdPartyNotices.txt")),
        *(site / f"{engine}-{version}.dist-info" / "licenses").glob("*"),
    ]
    return {f"{engine}-{path.stem}.txt": path for path in texts if path.is_file()}


def _first_library(engine: str) -> str:
    return "libonnxruntime.so" if engine == "onnxruntime" else _EXECUTORCH_LIBRARIES[0]


def _libraries(engine: str, site: Path) -> dict[str, Path]:
    if engine == "onnxruntime":
        # The runner opens it by its soname; the file's own name ends with the whole version.
        found = sorted((site / "onnxruntime" / "capi").glob("libonnxruntime.so.*"))
        return {"libonnxruntime.so.1": found[-1]} if found else {}
    paths = [site / "executorch" / "lib" / name for name in _EXECUTORCH_LIBRARIES]
    return {path.name: path for path in paths} if all(path.is_file() for path in paths) else {}
