from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_hub import FakeHub, serving_hub
from gguf_files import GGUF_ARCHITECTURES, WriteGguf, write_model

from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.hub import Hub


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")


@pytest.fixture
def write_gguf(tmp_path: Path, settings: Settings) -> WriteGguf:
    """Writes the random model of a built-in config as a GGUF file and returns its path.

    Keyword arguments: ``matrix_type`` ("F32", "F16", "Q4_0", "Q4_1", "Q8_0"), ``skip`` (GGUF names left out),
    ``metadata`` (extra or, with None, removed keys), ``tensors`` (extra tensors).
    """

    def write(builtin: str, **options: Any) -> Path:
        path = tmp_path / f"{builtin}-{options.get('matrix_type', 'F32')}.gguf"
        write_model(path, resolve(f"random:{builtin}", settings), GGUF_ARCHITECTURES[builtin], **options)
        return path

    return write


@pytest.fixture
def fake_hub(tmp_path: Path, settings: Settings) -> Iterator[FakeHub]:
    with serving_hub(tmp_path / "published", settings) as served:
        yield served


@pytest.fixture
def hub(fake_hub: FakeHub, tmp_path: Path) -> Hub:
    return Hub(endpoint=fake_hub.url, cache_dir=tmp_path / "hub")
