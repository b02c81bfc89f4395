"""Texts around messages against what transformers renders of the same conversation."""

from __future__ import annotations

import datetime
import json
import random
from pathlib import Path

import pytest
from chat_templates import SHAPES, TEMPLATES
from pydantic import TypeAdapter

from toolkit.artifact import Manifest
from toolkit.chat_format import ChatFormat, UnsplitChat
from toolkit.chat_template.environment import Message, render_with_transformers
from toolkit.chat_template.splitting import chat_format, split_template, unsplit_in_words

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
PIECES = [
    "a",
    "Zwei é",
    "日本🙂",
    "{{ x }}",
    "\n",
    "\n\n",
    " ",
    "1.",
    "'q'",
    '"',
    "\\n",
    "<b>",
    "</think>",
    "[INST]",
]


def conversation(generator: random.Random) -> list[str]:
    """Texts of user and model in turn; the model's may begin and end with white space."""
    turns = generator.randint(1, 5)

    def text(begin: str = "", end: str = "") -> str:
        return begin + "x".join(generator.choices(PIECES, k=generator.randint(1, 6))).strip() + "." + end

    thought = ["<think>\nhm\n</think>\n\n", "<think></think>", "", " ", "\n"]
    said = []
    for _ in range(turns - 1):
        said += [text().lstrip(), text(generator.choice(thought), generator.choice(["", "\n", " "]))]
    return [*said, text().lstrip()]


def messages(said: list[str], system: str | None) -> list[dict[str, str]]:
    opening = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    return [*opening, *({"role": roles[n % 2], "content": text} for n, text in enumerate(said))]


@pytest.mark.parametrize("name", SHAPES)
def test_a_conversation_is_what_transformers_renders(name: str) -> None:
    found = split_template(SHAPES[name], TOKENS)
    assert isinstance(found, ChatFormat), found
    generator = random.Random(name)
    systems = [None] if found.system_prefix is None else [None, "Be brief.", "Zwei\n\nZeilen {{ x }} é"]
    for _ in range(20):
        said, system = conversation(generator), generator.choice(systems)
        while True:
            today = datetime.date.today()
            real = render_with_transformers(SHAPES[name], messages(said, system), TOKENS)
            if today == datetime.date.today():
                break
        assert found.text(said, system=system, today=today) == real


def test_templates_take_a_system_message_or_do_not() -> None:
    found = {name: split_template(text, TOKENS) for name, text in SHAPES.items()}
    without = {
        name for name, one in found.items() if isinstance(one, ChatFormat) and one.system_prefix is None
    }
    # They refuse one, put it elsewhere, or leave it out.
    assert without == {"gemma_2", "gpt_oss", "h2o_danube", "mistral", "olmo", "qwen_3"}


@pytest.mark.parametrize("name", sorted(set(TEMPLATES) - set(SHAPES)))
def test_what_is_split_is_right_and_what_is_not_says_why(name: str) -> None:
    found = split_template(TEMPLATES[name], TOKENS)
    if isinstance(found, UnsplitChat):
        assert found.reason
        return
    generator = random.Random(name)
    for said in (conversation(generator) for _ in range(20)):
        assert found.text(said) == render_with_transformers(TEMPLATES[name], messages(said, None), TOKENS)


MESSAGES = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
REASONS = {
    "{{ messages | length }}" + MESSAGES: "it writes turns otherwise|depends on more than the speaker",
    MESSAGES + "{{ strftime_now('%H:%M') }}": "time of day",
    MESSAGES.replace("m.content", "m.content | upper"): "once and in order",
    MESSAGES.replace("m.content", "m.content | replace('Two', '2')"): "depends on more than the speaker",
    "{% for m in messages[::-1] %}{{ m.content }}{% endfor %}": "once and in order",
    MESSAGES + "{{ messages[0].content }}": "once and in order",
    "{% if messages | length > 1 %}{{ raise_exception('One only') }}{% endif %}" + MESSAGES: "One only",
    "{% if %}": "does not render",
}  # fmt: skip


@pytest.mark.parametrize("template", REASONS)
def test_a_template_that_cannot_be_split_says_why(template: str) -> None:
    found = split_template(template, TOKENS)
    assert isinstance(found, UnsplitChat)
    assert any(reason in found.reason for reason in REASONS[template].split("|")), found


def test_the_files_of_a_folder_say_which_template(tmp_path: Path) -> None:
    config = tmp_path / "tokenizer_config.json"
    assert chat_format(tmp_path, None) is None
    config.write_text(json.dumps({"bos_token": "<s>"}))
    assert chat_format(tmp_path, None) is None
    (tmp_path / "chat_template.jinja").write_text("{{ bos_token }}" + MESSAGES)
    found = chat_format(tmp_path, "chat_template.jinja")
    assert isinstance(found, ChatFormat) and found.opening == "<s><user>"
    config.write_text(json.dumps({"split_special_tokens": True}))
    found = chat_format(tmp_path, "chat_template.jinja")
    assert isinstance(found, UnsplitChat) and "plain text" in found.reason
    (tmp_path / "chat_template.jinja").unlink()
    named = [{"name": name, "template": MESSAGES} for name in ("rag", "tool_use")]
    config.write_text(json.dumps({"chat_template": named}))
    found = chat_format(tmp_path, None)
    assert isinstance(found, UnsplitChat) and "several, for rag, tool_use" in found.reason


def test_a_manifest_keeps_it() -> None:
    field = TypeAdapter(Manifest.model_fields["chat"].rebuild_annotation())
    for value in (split_template(SHAPES["llama_3_2"], TOKENS), UnsplitChat(reason="x"), None):
        assert field.validate_json(field.dump_json(value)) == value


@pytest.mark.parametrize(
    ("template", "renders"),
    [
        ("{{ messages | length }}", True),
        ("{% for %}", False),
        ("{{ raise_exception('no') }}", False),
        ("{{ nothing.at.all }}", False),
        ("{% trans %}x{% endtrans %}", False),
    ],
)
def test_only_a_template_that_renders_is_said_to(template: str, renders: bool, tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(template)
    found = chat_format(tmp_path, "chat_template.jinja")
    assert isinstance(found, UnsplitChat)
    said = unsplit_in_words(tmp_path, "chat_template.jinja", found)
    message: list[Message] = [{"role": "user", "content": "Hi"}]
    if renders:
        render_with_transformers(template, message, {})
        assert "slm generate and slm chat render it" in said
        return
    with pytest.raises(Exception):  # noqa: B017 - whatever jinja raises there
        render_with_transformers(template, message, {})
    assert "renders no message" in said and "slm generate --no-chat" in said
