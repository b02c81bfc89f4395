from __future__ import annotations

import warnings

import pytest

from toolkit.settings import Settings

pytest.importorskip("executorch", reason="the extra [executorch] is not installed")

with warnings.catch_warnings():
    # ExecuTorch and torchao call deprecated functions while they are imported; ours stay errors.
    warnings.simplefilter("ignore")
    import executorch.backends.xnnpack
    import executorch.extension.llm.custom_ops.custom_ops
    import executorch.kernels.quantized  # noqa: F401


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Captures are shared by both engines, as they are between a user's conversions."""
    home = tmp_path_factory.mktemp("home")
    return Settings(home / "cache", home / "data", "sqlite://")
