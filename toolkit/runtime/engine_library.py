"""The engines' shared libraries, taken out of wheels without importing them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from toolkit.engines.spec import EngineSpec
from toolkit.errors import EngineMismatch


@dataclass(frozen=True)
class InstalledEngine:
    """An engine's package in this environment.

    Attributes:
        site: the folder that the wheel was unpacked into.
    """

    version: str
    site: Path


def find_installed(engine: EngineSpec) -> InstalledEngine:
    """Locate the engine's installed package.

    Raises:
        EngineMismatch: it is not installed, or has no runner.
    """
    spec = importlib.util.find_spec(engine.package)
    # A namespace package may have several folders, of which one came with the wheel.
    folders = [Path(folder) for folder in (spec.submodule_search_locations or [])] if spec else []
    if not folders:
        raise EngineMismatch(f"the {engine.package} package is not installed", next_step=_install(engine))
    try:
        version = importlib.metadata.version(engine.package)
    except importlib.metadata.PackageNotFoundError:
        raise EngineMismatch(
            f"{engine.package} is there but its package metadata is not",
            subject=str(folders[0]),
            next_step=_install(engine),
        ) from None
    sites = [folder.parent for folder in folders]
    return InstalledEngine(version, next(filter(lambda site: _libraries(engine, site), sites), sites[0]))


def engine_libraries(engine: EngineSpec, site: Path) -> dict[str, Path]:
    """Name in a bundle's ``lib`` -> library, for an engine's wheel that was unpacked into ``site``.

    Raises:
        EngineMismatch: they are not all there.
    """
    found = _libraries(engine, site)
    if not found:
        first = Path(next(iter(engine.needed_runner().libraries.values()))).name.removesuffix(".*")
        raise EngineMismatch(
            f"the {engine.package} package holds no {first}, or not all libraries beside it",
            subject=str(site),
            next_step=_install(engine),
        )
    return found


def engine_licenses(engine: EngineSpec, version: str, site: Path) -> dict[str, Path]:
    """File name -> licence text that came with the wheel."""
    package = engine.package
    texts = [
        *(site / package / name for name in ("LICENSE", "ThirdPartyNotices.txt")),
        *(site / f"{package}-{version}.dist-info" / "licenses").glob("*"),
    ]
    return {f"{package}-{path.stem}.txt": path for path in texts if path.is_file()}


def _libraries(engine: EngineSpec, site: Path) -> dict[str, Path]:
    """All of them, or none."""
    found: dict[str, Path] = {}
    for name, path in engine.needed_runner().libraries.items():
        fitting = sorted(file for file in site.glob(path) if file.is_file())
        if not fitting:
            return {}
        found[name] = fitting[-1]
    return found


def _install(engine: EngineSpec) -> str:
    return f"Install the engine: {engine.install}"
