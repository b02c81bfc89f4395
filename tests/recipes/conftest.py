from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_process import SlmRecipe


@pytest.fixture
def slm_recipe(tmp_path: Path) -> Iterator[SlmRecipe]:
    started = SlmRecipe(tmp_path)
    yield started
    started.kill_all()
