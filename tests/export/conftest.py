from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from conversions import Convert, request

from toolkit.artifact import Artifact
from toolkit.export.convert import convert
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Captures are shared by the whole session, as they are between a user's conversions."""
    home = tmp_path_factory.mktemp("home")
    return Settings(home / "cache", home / "data", "sqlite://")


@pytest.fixture
def convert_model(tmp_path: Path, settings: Settings) -> Convert:
    """Converts a model, by name or source, into a new folder."""

    def run(model: str | ModelSource, quant: str = "fp32", **flags: Any) -> Artifact:
        source = resolve(model, settings) if isinstance(model, str) else model
        output = flags.pop("output", tmp_path / f"{source.name}-{quant}")
        overwrite = flags.pop("overwrite", False)
        return convert(source, request(source, quant, **flags), output, settings, overwrite=overwrite)

    return run
