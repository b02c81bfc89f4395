"""What each engine contributes to a bundle: its libraries, and what CMake needs to build its runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.errors import EngineMismatch
from toolkit.runtime.abi import host_abi
from toolkit.runtime.engine_library import engine_libraries, engine_licenses, find_installed
from toolkit.runtime.engine_wheel import find_wheel
from toolkit.runtime.headers import find_headers
from toolkit.settings import Settings

RUNNERS = {"onnxruntime": "slm-runner-ort", "executorch": "slm-runner-et"}


@dataclass(frozen=True)
class EngineFiles:
    """An engine's files on this machine.

    Attributes:
        libraries: name in the bundle's ``lib`` -> file.
        licenses: name in the bundle's ``licenses`` -> file.
        definitions: CMake cache entries that build its runner.
    """

    libraries: Mapping[str, Path]
    licenses: Mapping[str, Path]
    definitions: dict[str, str]


@dataclass(frozen=True)
class EngineBuild:
    """One engine for one ABI, known before anything of it is downloaded.

    Attributes:
        engine: its name in manifests and flags.
        version: of its libraries.
        identity: changes whenever what the runner is compiled against or linked with does.
        provide: returns its files; may download them.
    """

    engine: str
    version: str
    identity: str
    provide: Callable[[], EngineFiles]


def find_engine(engine: str, settings: Settings, *, abi: str | None = None) -> EngineBuild:
    """Find what a runner for ``engine`` (a key of RUNNERS) is built from.

    Its version is the installed one, for every ABI: an artifact is converted and checked with it.

    Args:
        engine: its name.
        settings: downloads are kept in the cache.
        abi: None for this machine's own.

    Raises:
        EngineMismatch: the engine is missing or too old, or has no known wheel for ``abi``.
        BuildFailed: ORT_INCLUDE_DIR names a folder without headers.
    """
    installed = find_installed(engine)
    if abi in (None, host_abi()):
        # Its folder alone may hold more than the wheel's libraries, so these are looked for at once.
        engine_libraries(engine, installed.site)
        site: Callable[[], Path] = lambda: installed.site  # noqa: E731
        origin = "installed"
    else:
        wheel = find_wheel(engine, installed.version, str(abi), settings)
        site, origin = wheel.provide, wheel.sha256
    if engine == "executorch":
        # The wheel carries headers and CMake targets of the same version.
        return _build(engine, installed.version, origin, site, _executorch_definitions)
    headers = find_headers(settings)
    if installed.minor < headers.interface_version:
        raise EngineMismatch(
            f"onnxruntime {installed.version} is older than the headers (1.{headers.interface_version})",
            next_step="Install the engine: pip install 'slm-toolkit[runner]'",
        )
    return _build(
        engine,
        installed.version,
        f"{origin} {headers.identity}",
        site,
        lambda _: {"ORT_INCLUDE_DIR": str(headers.provide())},
    )


def _build(
    engine: str,
    version: str,
    identity: str,
    site: Callable[[], Path],
    definitions: Callable[[Path], dict[str, str]],
) -> EngineBuild:
    def provide() -> EngineFiles:
        folder = site()
        return EngineFiles(
            engine_libraries(engine, folder),
            engine_licenses(engine, version, folder),
            definitions(folder),
        )

    return EngineBuild(engine, version, identity, provide)


def _executorch_definitions(site: Path) -> dict[str, str]:
    return {
        "SLM_ENGINE_ONNXRUNTIME": "OFF",
        "SLM_ENGINE_EXECUTORCH": "ON",
        "CMAKE_PREFIX_PATH": str(site / "executorch"),
    }
