"""Contents of messages in the form that a template takes: a text, or a list of parts.

Templates of models that see or hear often write parts only, and nothing of a text; others write a list of
parts as Python does. Both are silent, so the template is asked with a word of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from toolkit.chat_template.environment import Message, Render

_WORD = "Qzcontent"
# A list of parts that was written out as it is.
_AS_IT_IS = re.compile(r"""['"]type['"]""")


class ContentForm:
    """What contents a template takes.

    Args:
        render: renders conversations, see :mod:`toolkit.chat_template.environment`.
        template: the template.
        tokens: texts of special tokens.
    """

    def __init__(self, render: Render, template: str, tokens: Mapping[str, str]) -> None:
        self._render = render
        self._template = template
        self._tokens = tokens

    def taken(self, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages as the template takes them; as they are where it takes neither form.

        Args:
            messages: whose contents are texts, or lists of parts with a text each.
        """
        contents = [message.get("content") for message in messages]
        if any(isinstance(one, list) for one in contents) and not self._takes_parts:
            # As llama.cpp and vLLM join them.
            return [_changed(message, list, _joined) for message in messages]
        if any(isinstance(one, str) for one in contents) and self._takes_parts_only:
            return [_changed(message, str, _in_parts) for message in messages]
        return messages

    @cached_property
    def _takes_parts(self) -> bool:
        return self._writes(_in_parts(_WORD))

    @cached_property
    def _takes_parts_only(self) -> bool:
        return not self._writes(_WORD) and self._takes_parts

    def _writes(self, content: Any) -> bool:
        try:
            text = self._render(self._template, [{"role": "user", "content": content}], self._tokens)
        except Exception:  # noqa: BLE001 - a template is a program from elsewhere and raises what it likes
            return False
        return _WORD in text and not _AS_IT_IS.search(text)


def _changed(message: Message, kind: type, change: Any) -> Message:
    content = message.get("content")
    return {**message, "content": change(content)} if isinstance(content, kind) else message


def _joined(parts: Sequence[Mapping[str, str]]) -> str:
    return "\n".join(part["text"] for part in parts)


def _in_parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]
