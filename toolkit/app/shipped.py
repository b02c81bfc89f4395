"""The engines that the app has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from toolkit.engines import usable_engines
from toolkit.engines.spec import AndroidFiles, EngineSpec, InApp
from toolkit.errors import BuildFailed
from toolkit.registry import resolve
from toolkit.settings import Settings


@dataclass(frozen=True)
class ShippedEngine:
    """An engine whose libraries the app ships."""

    spec: EngineSpec
    files: AndroidFiles

    def headers(self, settings: Settings) -> Path:
        """The folder of its C headers.

        Raises:
            BuildFailed: they cannot be downloaded.
        """
        folder: Path = resolve(self.files.headers)(settings)
        return folder

    def libraries(self, settings: Settings) -> Path:
        """The folder ``ABI/*.so``.

        Raises:
            BuildFailed: it cannot be downloaded.
        """
        folder: Path = resolve(self.files.libraries)(settings)
        return folder


def engines_in_app() -> list[EngineSpec]:
    """Engines that have a JNI library."""
    return [engine for engine in usable_engines() if engine.in_app is not None]


def in_app(engine: EngineSpec) -> InApp:
    """How the app has an engine.

    Raises:
        BuildFailed: it has not.
    """
    if engine.in_app is None:
        raise BuildFailed(
            f"the app has no {engine.title}",
            next_step=f"Choose one of {', '.join(one.name for one in engines_in_app())}.",
        )
    return engine.in_app


def shipped_engines() -> list[ShippedEngine]:
    """Those of which there are libraries for Android."""
    having = [(engine, in_app(engine).android) for engine in engines_in_app()]
    return [ShippedEngine(engine, files) for engine, files in having if files is not None]
