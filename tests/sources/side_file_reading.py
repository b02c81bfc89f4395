"""What a folder's side files say, read by transformers and by us."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from side_file_folders import VOCABULARY_SIZE

from toolkit.chat.tokens import load_tokenizer, stop_token_ids
from toolkit.chat_template.environment import render_with_transformers
from toolkit.chat_template.template import render_chat
from toolkit.errors import ToolkitError, UsageError
from toolkit.sources.folder_tokenizer import FolderTokenizer
from toolkit.sources.token_checks import check_tokens

TEXTS = (
    "The capital of France is",
    "<|im_start|>user\nhi <|added|> you<|im_end|>",
    " in 1969  two\n\n\tpeople é 日本 🙂 </s>",
    "",
)
MESSAGES = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi <x>"}]


@dataclass(frozen=True)
class Reading:
    """What was read; None stands for what the folder lacks or refuses."""

    ids: list[list[int]] | None
    special: dict[str, str] | None
    chat: str | None
    ends: list[int] | None


def by_transformers(folder: Path) -> Reading | None:
    """None where transformers fails on the tokenizer."""
    from transformers import AutoTokenizer, GenerationConfig

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return None
    try:
        chat = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)
    except Exception:
        chat = None
    try:
        end = GenerationConfig.from_pretrained(folder).eos_token_id
    except Exception:
        # A file of which another field fails counts; a damaged one we refuse.
        file = folder / "generation_config.json"
        source = file if file.is_file() else folder / "config.json"
        try:
            end = json.loads(source.read_text()).get("eos_token_id")
        except Exception:
            end = None
    ends = end if isinstance(end, list) else [] if end is None else [end]
    # Transformers takes texts of tokens and fails when it generates; we look their ids up.
    ends = [tokenizer.convert_tokens_to_ids(one) if isinstance(one, str) else one for one in ends]
    return Reading(ids, dict(tokenizer.special_tokens_map), chat, ends)


def by_us(folder: Path, written: Path) -> Reading:
    """Raises ToolkitError where we refuse."""
    fields = json.loads((folder / "config.json").read_text())
    written.mkdir()
    files = FolderTokenizer(folder, fields).write(written)
    check_tokens(written, VOCABULARY_SIZE, subject="made")
    artifact: Any = SimpleNamespace(
        path=written, name="made", manifest=SimpleNamespace(chat_template_file=files.chat_template)
    )
    if "tokenizer.json" not in files.names:
        return Reading(None, None, None, stop_token_ids(artifact))
    tokenizer = load_tokenizer(artifact)
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    try:
        chat = render_chat(artifact, MESSAGES)
    except UsageError:
        chat = None
    tokens = json.loads((written / "tokenizer_config.json").read_text())
    special = {
        key: value for key, value in tokens.items() if key.endswith("_token") and isinstance(value, str)
    }
    return Reading(ids, special, chat, stop_token_ids(artifact))


def compare(folder: Path, written: Path, *, refusal_allowed: bool) -> str:
    """Assert that we read what transformers reads, or refuse in words; says which it was."""
    expected = by_transformers(folder)
    try:
        ours = by_us(folder, written)
    except ToolkitError as error:
        assert error.subject and error.next_step, error
        assert refusal_allowed or expected is None, f"refused what transformers reads: {error}"
        return "refused"
    if ours.ids is None:
        return "no tokenizer"
    assert expected is not None, "read what transformers refuses"
    assert ours.ids == expected.ids
    assert ours.special == expected.special
    # Of an empty template transformers makes empty prompts; we say that there is none.
    assert ours.chat == (expected.chat or None) or (expected.chat is None and template_of_processor(folder))
    assert ours.ends == sorted(set(expected.ends or []))
    return "equal"


def template_of_processor(folder: Path) -> bool:
    """AutoTokenizer leaves chat_template.json to the processors of vision-language models."""
    return (folder / "chat_template.json").is_file()


def rendered(template: str) -> str:
    return render_with_transformers(template, MESSAGES, {})
