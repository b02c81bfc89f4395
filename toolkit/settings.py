"""Where the toolkit keeps things; read once at the CLI's edge and passed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from platformdirs import PlatformDirs

_NAME = "slm-toolkit"


@dataclass(frozen=True)
class Settings:
    """Paths and URLs.

    Attributes:
        cache_dir: things that can be made again: captures, bundles, downloads. ``SLM_CACHE_DIR``.
        data_dir: things that cannot: results, raw run files, virtual phones. ``SLM_DATA_DIR``.
        store_url: SQLAlchemy URL of the results database. ``SLM_STORE_URL``.
        adb: path of the adb binary, or None to look on PATH and then in the adbutils wheel. ``SLM_ADB``.
    """

    cache_dir: Path
    data_dir: Path
    store_url: str
    adb: Path | None = None

    @property
    def models_dir(self) -> Path:
        """The user's own entries of the catalogue."""
        return self.data_dir / "models"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the SLM_* variables; without them, this platform's folders for caches and data."""
        home = Path(environ.get("HOME") or Path.home())
        places = PlatformDirs(_NAME, appauthor=False)
        cache = Path(
            environ.get("SLM_CACHE_DIR")
            or _folder(places.user_cache_path, Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / _NAME)
        )
        data = Path(
            environ.get("SLM_DATA_DIR")
            or _folder(
                places.user_data_path, Path(environ.get("XDG_DATA_HOME") or home / ".local" / "share") / _NAME
            )
        )
        adb = environ.get("SLM_ADB")
        return cls(
            cache_dir=cache.absolute(),
            data_dir=data.absolute(),
            store_url=environ.get("SLM_STORE_URL") or f"sqlite:///{data.absolute() / 'results.db'}",
            adb=Path(adb) if adb else None,
        )


def _folder(of_this_platform: Path, of_earlier_versions: Path) -> Path:
    """Earlier versions used Linux's places on every platform; what they kept there must be found."""
    return of_earlier_versions if of_earlier_versions.is_dir() else of_this_platform
