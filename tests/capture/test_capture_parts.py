"""Which part a matrix plays, in families that name and join their matrices differently."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from toolkit.capture.capture import capture
from toolkit.capture.parts import matrix_parts
from toolkit.capture.patterns import is_head
from toolkit.capture.skeleton import build_skeleton, tied_names
from toolkit.settings import Settings
from toolkit.sources import resolve

CONFIGS = Path(__file__).parents[1] / "families" / "configs"
# Config -> matrix of values and way back of the last feed-forward within a layer, and the output matrix.
PARTS = {
    "llama": ("self_attn.v_proj", "mlp.down_proj", "lm_head"),
    "gpt2": ("attn.c_attn", "mlp.c_proj", "lm_head"),
    "gpt_neox-pythia-hd64": ("attention.query_key_value", "mlp.dense_4h_to_h", "lm_head"),
    "bloom": ("self_attention.query_key_value", "mlp.dense_4h_to_h", "lm_head"),
    "phi3-mini-hd96": ("self_attn.qkv_proj", "mlp.down_proj", "lm_head"),
    # A norm stands between activation and way back.
    "bitnet": ("self_attn.v_proj", "mlp.down_proj", "lm_head"),
    "openlm-dclm": ("attention.in_proj", "feed_forward.w3", "output"),
    # Two heads, one behind the other: only the second yields the logits.
    "modernbert-decoder": ("attn.v_proj", "mlp.Wo", "decoder"),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_found_whatever_their_names(name: str, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")
    source = resolve(f"random:{CONFIGS / name}.json", settings)
    model = build_skeleton(source.config)
    graph, tied = capture(model, source.config), tied_names(model)
    parts = matrix_parts(graph, tied)
    value, down, head = PARTS[name]
    layers = len({match for match in parts if f".{value}.weight" in match})
    assert layers == source.config.num_hidden_layers
    ends = [one for one, part in parts.items() if part == "last_down"]
    assert len(ends) == 1 and f".{layers - 1}.{down}.weight" in ends[0]
    assert Counter(parts.values()) == {"value": layers, "down": layers - 1, "last_down": 1}
    heads = [op for op in graph.ops if op.target == "aten.linear" and is_head(graph, tied, op)]
    assert [op.args[1].name.split(".")[-2] for op in heads] == [head]
