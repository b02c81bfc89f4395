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
# Config -> matrix of values and ways back of the last feed-forward within a layer, and the output matrix.
PARTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "llama": ("self_attn.v_proj", ("mlp.down_proj",), "lm_head"),
    "gpt2": ("attn.c_attn", ("mlp.c_proj",), "lm_head"),
    "gpt_neox-pythia-hd64": ("attention.query_key_value", ("mlp.dense_4h_to_h",), "lm_head"),
    "bloom": ("self_attention.query_key_value", ("mlp.dense_4h_to_h",), "lm_head"),
    "phi3-mini-hd96": ("self_attn.qkv_proj", ("mlp.down_proj",), "lm_head"),
    # A norm stands between activation and way back.
    "bitnet": ("self_attn.v_proj", ("mlp.down_proj",), "lm_head"),
    "openlm-dclm": ("attention.in_proj", ("feed_forward.w3",), "output"),
    # Two heads, one behind the other: only the second yields the logits.
    "modernbert-decoder": ("attn.v_proj", ("mlp.Wo",), "decoder"),
    # An activation that is written out.
    "apertus": ("self_attn.v_proj", ("mlp.down_proj",), "lm_head"),
    "mixtral": ("self_attn.v_proj", ("mlp.experts.down_proj",), "lm_head"),
    # Experts, and one that all tokens use behind a gate.
    "qwen2_moe": ("self_attn.v_proj", ("mlp.experts.down_proj", "mlp.shared_expert.down_proj"), "lm_head"),
    # The way out of a recurrence ends no feed-forward.
    "bamba": ("self_attn.v_proj", ("feed_forward.down_proj",), "lm_head"),
    "recurrent_gemma": ("temporal_block.v_proj", ("mlp_block.down_proj",), "lm_head"),
    "mamba": ("", (), "lm_head"),
}


@pytest.mark.parametrize("name", PARTS)
def test_parts_are_found_whatever_their_names(name: str, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "cache", tmp_path / "data", "sqlite://")
    source = resolve(f"random:{CONFIGS / name}.json", settings)
    model = build_skeleton(source.config)
    graph, tied = capture(model, source.config), tied_names(model)
    parts = matrix_parts(graph, tied)
    value, downs, head = PARTS[name]
    attentions = {op.args[3] for op in graph.ops if op.target == "slm.attention"}
    values = [one for one, part in parts.items() if part == "value"]
    assert len(values) == len(attentions)
    assert all(one.endswith(f".{value}.weight") for one in values)
    last = source.config.num_hidden_layers - 1
    ends = {one.removesuffix(".weight") for one, part in parts.items() if part == "last_down"}
    assert {one.partition(f".{last}.")[2] for one in ends} == set(downs)
    counts = Counter(parts.values())
    assert counts["last_down"] == len(downs) and counts["down"] == len(downs) * last
    heads = [op for op in graph.ops if op.target == "aten.linear" and is_head(graph, tied, op)]
    assert [op.args[1].name.split(".")[-2] for op in heads] == [head]
