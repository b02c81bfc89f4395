"""A conversation of several turns, as a file: a JSON list of messages with role and content."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.chat_template.environment import Message
from toolkit.errors import UsageError

_EXAMPLE = '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}, ...]'


def parse_messages(text: str, *, origin: str) -> list[Message]:
    """The messages of a JSON list, or of an object with the one key ``messages``.

    Args:
        text: the JSON.
        origin: names it in errors.

    Raises:
        UsageError: not a conversation; says which message is wrong and how.
    """
    next_step = f"Write a JSON list of messages: {_EXAMPLE}"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is not JSON: {error}", subject=origin, next_step=next_step) from None
    if isinstance(data, dict) and set(data) == {"messages"}:
        data = data["messages"]
    if not isinstance(data, list):
        raise UsageError("holds no list of messages", subject=origin, next_step=next_step)
    check_messages(data, origin=origin)
    return data


def check_messages(messages: Sequence[object], *, origin: str) -> None:
    """Refuse what no template can render.

    Raises:
        UsageError: no message at all, or one without role, or with content that is neither text nor null.
    """
    if not messages:
        raise UsageError(
            "holds no message", subject=origin, next_step=f"Write at least one message: {_EXAMPLE}"
        )
    for number, message in enumerate(messages, start=1):
        wrong = _fault(message)
        if wrong:
            raise UsageError(
                f"message {number} {wrong}", subject=origin, next_step=f"Write messages as here: {_EXAMPLE}"
            )


def _fault(message: object) -> str | None:
    if not isinstance(message, Mapping):
        return "is not an object"
    if not isinstance(message.get("role"), str):
        return "has no role"
    content: Any = message.get("content")
    if content is None or isinstance(content, str):
        return None
    if not isinstance(content, list):
        return "has content that is neither a text nor a list of parts"
    for part in content:
        if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
            kind = part.get("type") if isinstance(part, Mapping) else None
            return f"has a part that is no text ({kind or 'unknown type'}); only text can be read"
    return None
