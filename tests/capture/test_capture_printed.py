"""What a model's code prints while it is traced is not lost."""

from __future__ import annotations

import functools
import sys
from typing import Any

import pytest
from transformers import AutoConfig, LlamaForCausalLM

from toolkit.capture.capture import capture
from toolkit.capture.skeleton import build_skeleton
from toolkit.errors import UnsupportedModel


@pytest.mark.parametrize("fails", [False, True])
def test_what_is_printed_shows_where_the_trace_succeeds_and_the_reason_alone_where_it_fails(
    fails: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    forward = LlamaForCausalLM.forward

    # Its parameters stay: the positions are given to those that take them.
    @functools.wraps(forward)
    def talkative(self: Any, *inputs: Any, **options: Any) -> Any:
        print("the weights of this model are a draft", file=sys.stderr)
        if fails:
            raise ValueError("no such draft")
        return forward(self, *inputs, **options)

    config = AutoConfig.for_model(
        "llama",
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=48,
    )
    model = build_skeleton(config)
    monkeypatch.setattr(LlamaForCausalLM, "forward", talkative)
    if fails:
        with pytest.raises(UnsupportedModel, match="no such draft"):
            capture(model, config)
    else:
        capture(model, config)
    assert ("are a draft" in capsys.readouterr().err) != fails
