"""The number that a model gives to a text's first token."""

from __future__ import annotations

import pytest

from toolkit.capture.capture import first_position
from toolkit.capture.skeleton import build_skeleton


@pytest.mark.parametrize(
    ("kind", "padding", "first"), [("roberta", 1, 2), ("xlm-roberta", 5, 6), ("bert", 0, 0)]
)
def test_positions_begin_where_the_model_begins_them(kind: str, padding: int, first: int) -> None:
    from transformers import AutoConfig

    config = AutoConfig.for_model(
        kind,
        is_decoder=True,
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
        pad_token_id=padding,
    )
    assert first_position(build_skeleton(config)) == first
