from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_process import SlmRecipe

from toolkit.settings import Settings


@pytest.fixture
def slm_recipe(tmp_path: Path) -> Iterator[SlmRecipe]:
    started = SlmRecipe(tmp_path)
    yield started
    started.kill_all()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Results of its own, but the user's cache."""
    data = tmp_path / "data"
    return dataclasses.replace(
        Settings.from_environment(), data_dir=data, store_url=f"sqlite:///{data / 'results.db'}"
    )
