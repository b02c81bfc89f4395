"""From a prompt or a conversation to token ids: what is given to the template, and how it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from toolkit.chat.conversation import parse_messages
from toolkit.chat.generate import prompt_ids
from toolkit.chat_template.template import render_chat
from toolkit.errors import NotAnArtifact, UsageError

TURNS = [
    {"role": "user", "content": "w5"},
    {"role": "assistant", "content": "w6"},
    {"role": "user", "content": "w7"},
]


def test_a_conversation_of_several_turns_is_rendered_whole(artifact_with: Any) -> None:
    artifact = artifact_with()
    assert render_chat(artifact, TURNS) == "<user> w5 <assistant> w6 <user> w7 <assistant>"
    assert prompt_ids(artifact, TURNS) == [329, 5, 0, 6, 329, 7, 0]


@pytest.mark.parametrize("text", [json.dumps(TURNS), json.dumps({"messages": TURNS})])
def test_a_file_holds_a_list_of_messages(text: str) -> None:
    assert parse_messages(text, origin="talk.json") == TURNS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('"hi"', "no list of messages"),
        ('{"messages": 1}', "no list of messages"),
        ('{"messages": [], "tools": []}', "no list of messages"),
        ("[]", "no message"),
        ('["hi"]', "message 1 is not an object"),
        ('[{"content": "hi"}]', "message 1 has no role"),
        ('[{"role": "user", "content": "a"}, {"role": 3, "content": "hi"}]', "message 2 has no role"),
        ('[{"role": "user", "content": 3}]', "neither a text nor a list"),
        ('[{"role": "user", "content": [{"type": "image", "url": "x"}]}]', r"no text \(image\)"),
        ('[{"role": "user", "content": ["x"]}]', "no text"),
    ],
)
def test_what_is_no_conversation_is_refused_and_located(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        parse_messages(text, origin="talk.json")
    assert caught.value.subject == "talk.json"
    assert caught.value.next_step


def test_a_conversation_goes_with_neither_no_chat_nor_system(artifact_with: Any) -> None:
    artifact = artifact_with()
    with pytest.raises(UsageError, match="needs the chat template"):
        prompt_ids(artifact, TURNS, chat=False)
    with pytest.raises(UsageError, match="--system stands in front of one prompt"):
        prompt_ids(artifact, TURNS, system="w9")


@pytest.mark.parametrize(
    "template",
    [
        "{% if %}",
        "{{ raise_exception('no, thanks') }}",
        "{{ messages[0].content + 1 }}",
        "{{ messages[9].role }}",
        "{{ 1 / 0 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{{ messages.append(1) }}",
        "{{ messages | nosuch }}",
    ],
)
def test_whatever_a_template_raises_is_a_usage_error(template: str, artifact_with: Any) -> None:
    with pytest.raises(UsageError, match="its chat template cannot render") as caught:
        render_chat(artifact_with(template=template), "w5")
    assert "--no-chat" in str(caught.value.next_step)


def test_leaving_out_the_system_message_is_advised_only_where_it_helps(artifact_with: Any) -> None:
    template = "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}x"
    with pytest.raises(UsageError) as caught:
        render_chat(artifact_with(template=template), "w5", system="w6")
    assert "--system" in str(caught.value.next_step)
    with pytest.raises(UsageError) as caught:
        render_chat(artifact_with(template="{% if %}"), "w5", system="w6")
    assert "--system" not in str(caught.value.next_step)


def test_templates_see_the_special_tokens_that_there_are(artifact_with: Any) -> None:
    names = ("bos_token", "eos_token", "pad_token", "unk_token", "mask_token", "image_token")
    template = "".join(f"{{% if {name} is defined %}}{name}={{{{ {name} }}}} {{% endif %}}" for name in names)
    config = {"bos_token": {"content": "<s>", "lstrip": False}, "eos_token": "</s>", "pad_token": None}
    config |= {"image_token": "<image>", "add_bos_token": True}
    artifact = artifact_with(template=template, config=config)
    assert render_chat(artifact, "w5") == "bos_token=<s> eos_token=</s> image_token=<image> "
    # Older tokenizers keep them in a file of their own, which wins.
    older = artifact_with(
        template=template, config=config, tokens_map={"unk_token": "<u>", "eos_token": "<e>"}
    )
    assert render_chat(older, "w5") == "bos_token=<s> eos_token=<e> unk_token=<u> image_token=<image> "


def test_templates_without_one_for_plain_conversations_are_named(artifact_with: Any) -> None:
    named = [{"name": "tool_use", "template": "T"}, {"name": "rag", "template": "R"}]
    artifact = artifact_with(template=None, config={"chat_template": named})
    with pytest.raises(UsageError, match="chat templates for rag, tool_use, none for a plain conversation"):
        prompt_ids(artifact, "w5")
    assert prompt_ids(artifact, "w5", chat=False) == [5]


def test_side_files_that_are_no_text_are_refused(artifact_with: Any) -> None:
    artifact = artifact_with()
    (artifact.path / "chat_template.jinja").write_bytes(b"\xff\xfe")
    with pytest.raises(NotAnArtifact, match="not UTF-8"):
        render_chat(artifact, "w5")
    with pytest.raises(NotAnArtifact, match="not JSON"):
        render_chat(artifact_with(config="{"), "w5")


def test_a_prompt_that_is_no_unicode_is_refused(artifact_with: Any) -> None:
    with pytest.raises(UsageError, match="no valid Unicode"):
        prompt_ids(artifact_with(), "w5 \udcff", chat=False)


def test_truncation_and_padding_left_from_training_do_not_touch_prompts(artifact_with: Any) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str((artifact_with().path / "tokenizer.json").read_text())
    tokenizer.enable_truncation(max_length=2)
    tokenizer.enable_padding(length=16, pad_id=3, pad_token="w3")
    artifact = artifact_with(tokenizer=tokenizer.to_str())
    assert prompt_ids(artifact, "w5 w6 w7", chat=False) == [5, 6, 7]
