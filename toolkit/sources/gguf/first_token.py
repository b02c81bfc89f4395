"""Chat prompts of a GGUF file begin with the first token where llama.cpp begins them with it.

Reference: llama.cpp takes the token's text off what a template renders (``common/chat.cpp``) and has the
tokenizer put the token in front, where the vocabulary says that texts begin with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from toolkit.chat_template.environment import Message, renderer
from toolkit.chat_template.limits import NotRendered, within_limits

_USER: Message = {"role": "user", "content": "Hi"}
_CONVERSATIONS: tuple[Sequence[Message], ...] = (
    [_USER],
    [{"role": "system", "content": "Be brief."}, _USER],
)


def beginning_with_first_token(template: str, tokens: Mapping[str, str]) -> str:
    """The template, which writes the first token where it does not yet.

    Args:
        template: of a vocabulary whose texts begin with ``bos_token``.
        tokens: texts of special tokens, by transformers' names.
    """
    rendered = [_rendered(template, messages, tokens) for messages in _CONVERSATIONS]
    texts = [text for text in rendered if text is not None]
    if not texts or any(text.startswith(tokens["bos_token"]) for text in texts):
        return template
    return "{{ bos_token }}" + template


def _rendered(template: str, messages: Sequence[Message], tokens: Mapping[str, str]) -> str | None:
    """What it makes of a conversation; None where it refuses that."""
    render = renderer()
    try:
        return within_limits(lambda: render(template, messages, tokens))
    except NotRendered:
        return None
