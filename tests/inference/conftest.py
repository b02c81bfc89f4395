from __future__ import annotations

import warnings
from pathlib import Path

import pytest

with warnings.catch_warnings():
    # ExecuTorch calls deprecated functions while it is imported; ours stay errors.
    warnings.simplefilter("ignore")
    import executorch.backends.xnnpack
    import executorch.extension.llm.custom_ops.custom_ops
    import executorch.kernels.quantized  # noqa: F401


from toolkit.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")
