from __future__ import annotations

import warnings

import pytest


@pytest.fixture(scope="session")
def executorch() -> None:
    """ExecuTorch and torchao call deprecated functions while they are imported; ours stay errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in ("backends.xnnpack", "extension.llm.custom_ops.custom_ops", "extension.llm.runner"):
            pytest.importorskip(f"executorch.{name}", reason="the extra [executorch] is not installed")
