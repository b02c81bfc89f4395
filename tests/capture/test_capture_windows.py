"""The sliding windows of a graph are those of the masks that transformers makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from toolkit.capture.capture import capture
from toolkit.capture.skeleton import build_skeleton
from toolkit.errors import UnsupportedModel
from toolkit.sources.folder_source import config_from_fields

CONFIGS = Path(__file__).parents[1] / "families" / "configs"
LENGTH = 24


def config_of(name: str, **changed: Any) -> Any:
    return config_from_fields(json.loads((CONFIGS / f"{name}.json").read_text()) | changed, Path(name))


def windows_of_transformers(config: Any, length: int = LENGTH) -> list[int]:
    """How many positions the last one sees in each layer; 0 where those are all."""
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        seen = model.eval()(torch.arange(length)[None] % config.vocab_size, output_attentions=True).attentions
    counts = [int((layer[0, 0, -1] > 0).sum()) for layer in seen]
    return [0 if count == length else count for count in counts]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        # Its attention is told of no window, and layers differ.
        ("qwen2_moe-swa", {}),
        # Its attention is told of none, and all layers have the same.
        ("phimoe-swa", {"num_hidden_layers": 2}),
        # Its attention is told of one for which there is no mask.
        ("olmoe", {"sliding_window": 8}),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_window_is_what_the_mask_says(name: str, changed: dict[str, Any]) -> None:
    config = config_of(name, **changed)
    graph = capture(build_skeleton(config), config)
    ours = [op.args[5] for op in graph.ops if op.target == "slm.attention"]
    assert ours == windows_of_transformers(config)


@pytest.mark.filterwarnings("ignore")
def test_a_buffer_without_numbers_is_refused() -> None:
    config = config_of("gemma3_text")
    skeleton = build_skeleton(config)
    for name, buffer in skeleton.named_buffers():
        if name.endswith("embed_scale"):
            buffer.fill_(torch.nan)
    with pytest.raises(UnsupportedModel, match="in no initializer"):
        capture(skeleton, config)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("window", [599, 1024, 2000])
def test_a_window_of_any_width_is_seen_in_attention_that_is_written_out(window: int) -> None:
    config = config_of("gpt_neo", window_size=window, max_position_embeddings=2048)
    graph = capture(build_skeleton(config), config)
    ours = [op.args[5] for op in graph.ops if op.target == "slm.attention"]
    assert ours == windows_of_transformers(config, 2040)
    assert window in ours
