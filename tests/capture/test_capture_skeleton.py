"""What a skeleton holds is what transformers' constructor makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from toolkit.capture.skeleton import build_skeleton
from toolkit.sources.folder_source import config_from_fields

CONFIGS = Path(__file__).parents[1] / "families" / "configs"


# Numbers of an activation, masks, an embedding's scale, a router's bias; rotary frequencies in all but one.
@pytest.mark.parametrize("name", ["apertus", "gpt_neo", "gpt_bigcode", "gemma3_text", "deepseek_v3"])
def test_buffers_have_the_values_of_the_constructor(name: str) -> None:
    from transformers import AutoModelForCausalLM

    config = config_from_fields(json.loads((CONFIGS / f"{name}.json").read_text()), Path(name))
    skeleton = build_skeleton(config)
    assert all(parameter.is_meta for parameter in skeleton.parameters())
    made = dict(AutoModelForCausalLM.from_config(config, dtype=torch.float32).named_buffers())
    ours = dict(skeleton.named_buffers())
    assert ours.keys() == made.keys() and ours
    if name == "apertus":
        assert any(key.endswith("act_fn.eps") for key in ours)
    for key, values in made.items():
        assert torch.equal(ours[key], values), key
