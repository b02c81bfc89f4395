"""What an engine contributes to a bundle: its libraries, and what CMake needs to build its runner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit.engines.spec import EngineSpec, Headers
from toolkit.registry import resolve
from toolkit.runtime.abi import runnable_host_abi
from toolkit.runtime.engine_library import engine_libraries, engine_licenses, find_installed
from toolkit.runtime.engine_wheel import find_wheel
from toolkit.settings import Settings


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
        engine: what is known about it.
        version: of its libraries.
        identity: changes whenever what the runner is compiled against or linked with does.
        provide: returns its files; may download them.
    """

    engine: EngineSpec
    version: str
    identity: str
    provide: Callable[[], EngineFiles]


def find_engine(engine: EngineSpec, settings: Settings, *, abi: str | None = None) -> EngineBuild:
    """Find what the runner of an engine is built from.

    Its version is the installed one, for every ABI: an artifact is converted and checked with it.

    Args:
        engine: with a runner.
        settings: downloads are kept in the cache.
        abi: None for this machine's own.

    Raises:
        EngineMismatch: the engine has no runner, is missing or too old, or has no known wheel for ``abi``.
        BuildFailed: its headers are not where they should be.
    """
    runner = engine.needed_runner()
    installed = find_installed(engine)
    if abi in (None, runnable_host_abi()):
        # Its folder alone may hold more than the wheel's libraries, so these are looked for at once.
        engine_libraries(engine, installed.site)
        site: Callable[[], Path] = lambda: installed.site  # noqa: E731
        origin = "installed"
    else:
        wheel = find_wheel(engine, installed.version, str(abi), settings)
        site, origin = wheel.provide, wheel.sha256
    headers: Headers | None = None
    if runner.headers is not None:
        headers = resolve(runner.headers)(installed.version, settings)

    def provide() -> EngineFiles:
        folder = site()
        places = {"site": folder} | ({"headers": headers.provide()} if headers is not None else {})
        return EngineFiles(
            engine_libraries(engine, folder),
            engine_licenses(engine, installed.version, folder),
            {name: value.format(**places) for name, value in runner.definitions.items()},
        )

    identity = origin if headers is None else f"{origin} {headers.identity}"
    return EngineBuild(engine, installed.version, identity, provide)
