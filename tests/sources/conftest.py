from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gguf_files import GGUF_ARCHITECTURES, WriteGguf, write_model

from toolkit.settings import Settings
from toolkit.sources import resolve


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
