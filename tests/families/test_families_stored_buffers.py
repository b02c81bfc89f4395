"""Numbers that checkpoints store beside parameters reach the artifact, whatever the model's class makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conversions_of_families import CONFIGS, outcome

from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.sources.folder_source import config_from_fields


def config_of(name: str) -> Any:
    return config_from_fields(json.loads((CONFIGS / f"{name}.json").read_text()), CONFIGS)


@pytest.mark.parametrize(
    ("name", "buffer"), [("deepseek_v3", "e_score_correction_bias"), ("apertus", "act_fn.beta")]
)
@pytest.mark.filterwarnings("ignore")
def test_stored_values_are_those_of_the_artifact(
    name: str, buffer: str, tmp_path: Path, settings: Settings
) -> None:
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config_of(name), dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    changed = [values for key, values in model.named_buffers() if key.endswith(buffer)]
    for values in changed:
        values.add_(torch.linspace(-0.25, 0.5, values.numel()).reshape(values.shape))
    model.save_pretrained(tmp_path / "model")
    source = resolve(str(tmp_path / "model"), settings)
    request = ConvertRequest.of(model=source.name, quant="fp32", backend="onnxruntime")

    artifact = convert(source, request, tmp_path / "artifact", settings)

    assert changed and artifact.manifest.parity is not None and artifact.manifest.parity.passed


@pytest.mark.parametrize("name", ["apertus", "gemma4_text"])
def test_a_random_model_has_them_too(name: str, tmp_path: Path, settings: Settings) -> None:
    found = outcome(name, "onnxruntime", tmp_path, settings)
    assert found.outcome == "converts", found
