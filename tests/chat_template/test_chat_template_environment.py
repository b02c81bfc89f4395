"""Our environment for chat templates against transformers' own ``apply_chat_template``."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from chat_templates import CONVERSATIONS, TEMPLATES, TRAITS

from toolkit.chat_template.environment import render, render_with_transformers, renderer

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {token: index for index, token in enumerate(TOKENS.values())}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    return PreTrainedTokenizerFast(tokenizer_object=backend, **TOKENS)


def outcome(call: Any, *arguments: Any) -> tuple[str, str]:
    """The text, or the kind of error: words of the sandbox's own errors may differ."""
    try:
        return "text", call(*arguments)
    except Exception as error:
        return "error", type(error).__name__


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_both_environments_render_what_transformers_renders(name: str, tokenizer: Any) -> None:
    template = TEMPLATES[name]

    def original(messages: Any) -> str:
        text: str = tokenizer.apply_chat_template(
            messages, chat_template=template, add_generation_prompt=True, tokenize=False
        )
        return text

    for messages in CONVERSATIONS.values():
        expected = outcome(original, messages)
        assert outcome(render_with_transformers, template, messages, TOKENS) == expected
        assert outcome(render, template, messages, TOKENS) == expected


def test_most_templates_render_at_all(tokenizer: Any) -> None:
    rendered = [
        outcome(render, template, CONVERSATIONS["one question"], TOKENS)[0]
        for name, template in TEMPLATES.items()
        if name not in TRAITS
    ]
    assert set(rendered) == {"text"}


def test_transformers_renders_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert renderer() is render_with_transformers
    # As after a light install.
    monkeypatch.setitem(sys.modules, "transformers.utils.chat_template_utils", None)
    assert renderer() is render
