"""What each engine contributes to a bundle: its libraries, and what CMake needs to build its runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import EngineMismatch
from toolkit.runtime.engine_library import find_executorch, find_onnxruntime
from toolkit.runtime.headers import find_headers
from toolkit.settings import Settings

RUNNERS = {"onnxruntime": "slm-runner-ort", "executorch": "slm-runner-et"}


@dataclass(frozen=True)
class EngineBuild:
    """One engine, found on this machine.

    Attributes:
        engine: its name in manifests and flags.
        version: of its libraries.
        libraries: name in the bundle's ``lib`` -> file on this machine.
        identity: changes whenever what the runner is compiled against does.
        definitions: returns the CMake cache entries; may download what is missing.
    """

    engine: str
    version: str
    libraries: Mapping[str, Path]
    identity: str
    definitions: Callable[[], dict[str, str]]

    @property
    def runner(self) -> str:
        """File name of the runner."""
        return RUNNERS[self.engine]


def find_engine(engine: str, settings: Settings) -> EngineBuild:
    """Find what a runner for ``engine`` (a key of RUNNERS) is built from.

    Raises:
        EngineMismatch: the engine is missing or too old.
        BuildFailed: ORT_INCLUDE_DIR names a folder without headers.
    """
    return _onnxruntime(settings) if engine == "onnxruntime" else _executorch()


def _onnxruntime(settings: Settings) -> EngineBuild:
    library = find_onnxruntime()
    headers = find_headers(settings)
    if library.minor < headers.interface_version:
        raise EngineMismatch(
            f"onnxruntime {library.version} is older than the headers (1.{headers.interface_version})",
            next_step="Install the engine: pip install 'slm-toolkit[runner]'",
        )
    return EngineBuild(
        library.engine,
        library.version,
        {library.soname: library.path},
        headers.identity,
        lambda: {"ORT_INCLUDE_DIR": str(headers.provide())},
    )


def _executorch() -> EngineBuild:
    package = find_executorch()
    # The wheel carries headers and CMake targets of the same version.
    definitions = {
        "SLM_ENGINE_ONNXRUNTIME": "OFF",
        "SLM_ENGINE_EXECUTORCH": "ON",
        "CMAKE_PREFIX_PATH": str(package.path),
    }
    libraries = {library.name: library for library in package.libraries}
    return EngineBuild("executorch", package.version, libraries, package.version, lambda: definitions)
