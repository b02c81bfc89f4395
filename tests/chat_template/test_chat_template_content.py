"""Contents reach a template in the form that it takes: transformers renders that form the same."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from chat_templates import TEMPLATES

from toolkit.chat_format import ChatFormat
from toolkit.chat_template.environment import Message, render_with_transformers
from toolkit.chat_template.splitting import split_template
from toolkit.chat_template.template import render_chat

TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
# As processors of SmolVLM and LLaVA have theirs: of a text they write nothing.
PARTS_ONLY = (
    "{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% elif line['type'] == 'image' %}<image>{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
BOTH = (
    "{% for m in messages %}[{{ m.role }}]{% if m.content is string %}{{ m.content }}{% else %}"
    "{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}{% endfor %}"
)
SAID = ("Hi", "Hello!", "And\nnow?")
ROLES = ("user", "assistant", "user")


def in_texts() -> list[Message]:
    return [{"role": role, "content": text} for role, text in zip(ROLES, SAID, strict=True)]


def in_parts() -> list[Message]:
    return [
        {"role": role, "content": [{"type": "text", "text": text}]}
        for role, text in zip(ROLES, SAID, strict=True)
    ]


def rendered(template: str, messages: list[Message], folder: Path) -> str:
    (folder / "chat_template.jinja").write_text(template)
    (folder / "tokenizer_config.json").write_text(json.dumps(TOKENS))
    made: Any = SimpleNamespace(
        path=folder, name="made", manifest=SimpleNamespace(chat_template_file="chat_template.jinja")
    )
    return render_chat(made, messages)


@pytest.mark.parametrize("messages", [in_texts(), in_parts()], ids=["texts", "parts"])
@pytest.mark.parametrize(
    ("template", "taken"),
    [(PARTS_ONLY, in_parts()), (TEMPLATES["chatml"], in_texts()), (TEMPLATES["gemma_3"], in_parts())]
    + [(TEMPLATES["llama_3"], in_texts()), (BOTH, in_parts())],
)
def test_both_forms_of_a_content_say_the_same(
    template: str, taken: list[Message], messages: list[Message], tmp_path: Path
) -> None:
    expected = render_with_transformers(template, taken, TOKENS)
    assert all(text in expected for text in SAID)
    assert rendered(template, messages, tmp_path) == expected


def test_several_parts_are_lines_of_a_template_that_takes_texts(tmp_path: Path) -> None:
    content = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    expected = render_with_transformers(
        TEMPLATES["chatml"], [{"role": "user", "content": "one\ntwo"}], TOKENS
    )
    assert rendered(TEMPLATES["chatml"], [{"role": "user", "content": content}], tmp_path) == expected
    # One that takes parts has them as they are.
    assert rendered(BOTH, [{"role": "user", "content": content}], tmp_path) == "[user]onetwo"


def test_a_template_of_parts_is_split_as_well() -> None:
    found = split_template(PARTS_ONLY, TOKENS)
    assert isinstance(found, ChatFormat)
    assert found.text(SAID) == render_with_transformers(PARTS_ONLY, in_parts(), TOKENS)
