from __future__ import annotations

import pytest

from toolkit.settings import Settings

pytest.importorskip("executorch", reason="the extra [executorch] is not installed")

import loaded_executorch  # noqa: F401


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Captures are shared by both engines, as they are between a user's conversions."""
    home = tmp_path_factory.mktemp("home")
    return Settings(home / "cache", home / "data", "sqlite://")
