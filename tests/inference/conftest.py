from __future__ import annotations

from pathlib import Path

import loaded_executorch  # noqa: F401
import pytest

from toolkit.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")
