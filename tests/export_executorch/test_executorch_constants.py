"""Equal constants are shared only between uses that XNNPACK allows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from model_folders import edit_config, write_folder
from safetensors.torch import load_file, save_file

from toolkit.artifact import Artifact
from toolkit.settings import Settings
from toolkit.sources import resolve


@pytest.mark.parametrize("activation", ["gelu_new", "relu"])
@pytest.mark.parametrize("value", [0.0, 0.25])
def test_a_linears_bias_that_equals_a_norms_converts(
    value: float,
    activation: str,
    settings: Settings,
    tmp_path: Path,
    convert_model: Callable[..., Artifact],
) -> None:
    folder = tmp_path / "m"
    write_folder(folder, settings, "gpt2-tiny")
    edit_config(folder, activation_function=activation)
    file = folder / "model.safetensors"
    # As freshly initialized: every bias of norms and linears is the same.
    tensors = {
        name: torch.full_like(values, value) if name.endswith("bias") else values
        for name, values in load_file(file).items()
    }
    save_file(tensors, file, metadata={"format": "pt"})
    parity = convert_model(resolve(str(folder), settings)).manifest.parity
    assert parity is not None and parity.passed
