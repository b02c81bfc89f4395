"""The chat template of an artifact, and the text that it makes of a conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.artifact import Artifact
from toolkit.chat_template.content import ContentForm
from toolkit.chat_template.environment import Message, renderer
from toolkit.chat_template.limits import NotRendered, within_limits
from toolkit.errors import NotAnArtifact, UsageError

_TOKENIZER_CONFIG = "tokenizer_config.json"
_SPECIAL_TOKENS_MAP = "special_tokens_map.json"
_ONLY_TEMPLATE = "chat_template.jinja"
_AS_IT_IS = "Send a text as it is: slm generate --no-chat --prompt TEXT."


def render_chat(artifact: Artifact, prompt: str | Sequence[Message], *, system: str | None = None) -> str:
    """The text of a conversation, opened for the assistant's answer.

    Args:
        artifact: holds the template.
        prompt: the user's message, or all messages of a conversation.
        system: system message in front, or None for the template's own default.

    Raises:
        UsageError: the artifact has no chat template, or the template refuses these messages, takes too long
            over them, or too much memory.
    """
    template = _plain_template(artifact)
    tokens = special_tokens(artifact.path)
    messages: list[Message] = [{"role": "user", "content": prompt}]
    if not isinstance(prompt, str):
        messages = list(prompt)
    opening: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    rendered = _rendered(template, [*opening, *messages], tokens)
    if isinstance(rendered, str):
        return rendered
    next_step = _AS_IT_IS
    if not isinstance(prompt, str):
        next_step = (
            "Change the conversation: many templates know few roles and want them to alternate. " + next_step
        )
    elif opening and isinstance(_rendered(template, messages, tokens), str):
        next_step = "Leave out --system. Or: " + next_step
    raise UsageError(
        f"its chat template cannot render this conversation: {rendered}",
        subject=artifact.name,
        next_step=next_step,
    )


def has_chat_template(artifact: Artifact) -> bool:
    """Whether the artifact brings a chat template."""
    return find_template(artifact.path, artifact.manifest.chat_template_file) is not None


def splits_special_tokens(folder: Path) -> bool:
    """Whether the tokenizer takes the text of a special token for plain text.

    Raises:
        NotAnArtifact: the file that should tell is damaged.
    """
    return read_json(folder / _TOKENIZER_CONFIG).get("split_special_tokens") is True


def why_no_message(folder: Path, chat_template_file: str | None) -> str | None:
    """Why the template in an artifact's folder makes no text of a single message; None where it does.

    Raises:
        NotAnArtifact: a file that should tell is damaged.
    """
    template = find_template(folder, chat_template_file)
    if not isinstance(template, str):
        return "there is none for a plain conversation"
    rendered = _rendered(template, [{"role": "user", "content": "Hi"}], special_tokens(folder))
    return None if isinstance(rendered, str) else str(rendered)


def _rendered(template: str, messages: list[Message], tokens: dict[str, str]) -> str | NotRendered:
    """The rendered text, or why there is none."""
    render = renderer()
    form = ContentForm(render, template, tokens)
    try:
        return within_limits(lambda: render(template, form.taken(messages), tokens))
    except NotRendered as why:
        return why


def _plain_template(artifact: Artifact) -> str:
    template = find_template(artifact.path, artifact.manifest.chat_template_file)
    if template is None:
        raise UsageError(
            "has no chat template", subject=artifact.name, next_step=f"{_AS_IT_IS} It is a base model."
        )
    if isinstance(template, dict):
        raise UsageError(
            f"has chat templates for {', '.join(sorted(template))}, none for a plain conversation",
            subject=artifact.name,
            next_step=_AS_IT_IS,
        )
    return template


def find_template(folder: Path, chat_template_file: str | None) -> str | dict[str, str] | None:
    """The template; several by name where none is for a plain conversation; None of a base model.

    Raises:
        NotAnArtifact: a file that should tell is damaged.
    """
    for name in (chat_template_file, _ONLY_TEMPLATE):
        if name and name.endswith(".jinja") and (folder / name).is_file():
            return _read_text(folder / name)
    template = read_json(folder / _TOKENIZER_CONFIG).get("chat_template")
    if isinstance(template, list):
        template = {
            str(entry.get("name")): entry.get("template") for entry in template if isinstance(entry, dict)
        }
    if isinstance(template, dict):
        # The plain conversation is called "default".
        return template.get("default", template) or None
    return template if isinstance(template, str) else None


def special_tokens(folder: Path) -> dict[str, str]:
    """Text of each special token that the tokenizer has, as transformers gives them to templates.

    Raises:
        NotAnArtifact: a file that should tell is damaged.
    """
    fields = config = read_json(folder / _TOKENIZER_CONFIG)
    if "added_tokens_decoder" not in config:
        # Where older tokenizers keep them; transformers lets it win.
        fields = config | read_json(folder / _SPECIAL_TOKENS_MAP)
    extra = fields.get("extra_special_tokens")
    named = extra if isinstance(extra, dict) else {}
    texts = {
        name: _token_text(token)
        for name, token in (fields | named).items()
        if name.endswith("_token") or name in named
    }
    return {name: text for name, text in texts.items() if text is not None}


def _token_text(token: object) -> str | None:
    """A special token, which older tokenizers write as an object with flags."""
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None


def read_json(path: Path) -> dict[str, Any]:
    """A side file of an artifact or a model's folder; empty where there is none, or it holds no object.

    Raises:
        NotAnArtifact: it is not JSON.
    """
    if not path.is_file():
        return {}
    try:
        data = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise NotAnArtifact(
            f"{path.name} is not JSON: {error}",
            subject=str(path.parent),
            next_step="Convert the model again.",
        ) from None
    return data if isinstance(data, dict) else {}


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise NotAnArtifact(
            f"{path.name} is not UTF-8: {error}",
            subject=str(path.parent),
            next_step="Convert the model again.",
        ) from None
