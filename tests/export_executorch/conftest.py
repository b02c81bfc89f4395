from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("executorch", reason="the extra [executorch] is not installed")

import loaded_executorch  # noqa: F401
from runner_process import Runner

from toolkit.artifact import Artifact
from toolkit.compress.adaptation import adapt
from toolkit.compress.plan import plan_from_flags
from toolkit.engines import ENGINES, EngineName
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.runtime.bundle import build_bundle
from toolkit.settings import Settings
from toolkit.sources import ModelSource, resolve


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Captures are shared by the whole session, as they are between a user's conversions."""
    home = tmp_path_factory.mktemp("home")
    return Settings(home / "cache", home / "data", "sqlite://")


@pytest.fixture(scope="session")
def et_runner() -> Runner:
    """Runs the bundle for ExecuTorch on this machine."""
    bundle = build_bundle("host", Settings.from_environment(), engine="executorch")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [*bundle.command(str(bundle.path)), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env={})

    return run


@pytest.fixture
def convert_model(tmp_path: Path, settings: Settings) -> Callable[..., Artifact]:
    """Converts a model, by name or source; both backends get the plan adapted to XNNPACK."""

    def run(
        model: str | ModelSource, quant: str = "fp32", backend: EngineName = "executorch", **flags: Any
    ) -> Artifact:
        source = resolve(model, settings) if isinstance(model, str) else model
        plan = plan_from_flags(quant, tied=source.config.tie_word_embeddings)
        plan = adapt(plan, ENGINES.get("executorch").capabilities, keep_groups=False, keep_grid=False)
        request = ConvertRequest.of(model=source.name, quant=quant, backend=backend, **flags)
        output = tmp_path / f"{source.name}-{backend}-{quant}-{request.logits}"
        return convert(source, request, output, settings, plan=plan)

    return run
