"""What a skeleton holds is what transformers' constructor makes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from toolkit.capture.skeleton import build_skeleton
from toolkit.errors import UnsupportedModel
from toolkit.sources.folder_source import config_from_fields

CONFIGS = Path(__file__).parents[1] / "families" / "configs"


# Numbers of an activation, masks, an embedding's scale, a router's bias; rotary frequencies in all but one.
# Falcon-H1's model has the numbers of its layers.
@pytest.mark.parametrize(
    "name", ["apertus", "gpt_neo", "gpt_bigcode", "gemma3_text", "deepseek_v3", "falcon_h1"]
)
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


def test_a_config_whose_model_cannot_be_built_is_refused() -> None:
    fields = json.loads((CONFIGS / "llama.json").read_text())
    config = config_from_fields(fields | {"pad_token_id": fields["vocab_size"]}, Path("llama"))
    with pytest.raises(UnsupportedModel, match="for this config"):
        build_skeleton(config)
