"""What a chat template writes around messages, found by rendering it and checked against what it renders.

Nothing is read from the template's own text: it is a program. Conversations of known words are rendered, what
stands between the words is taken, and many other conversations must come out the same.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from pydantic import TypeAdapter

from toolkit.chat_format import (
    DATE_BEGIN,
    DATE_END,
    DATE_FIELDS,
    ChatFormat,
    Dropped,
    UnsplitChat,
)
from toolkit.chat_template.content import ContentForm
from toolkit.chat_template.environment import Message, Render, render, renderer
from toolkit.chat_template.limits import NotRendered, why_not_rendered, within_limits
from toolkit.chat_template.template import (
    find_template,
    special_tokens,
    splits_special_tokens,
    why_no_message,
)

_SYSTEM = "Qzsystem"
_WORDS = ("Qzuser", "Qzanswer", "Qzsecond", "Qzreply", "Qzthird")
_SYSTEMS = (None, "You are brief.", "Zwei Zeilen:\n\n1. é & <b>\n2. {{ x }} 'q' \"r\" 日本")
_SAID = (
    ("Hi",),
    ("1 + 1?", "2", "and + 1?"),
    ("Two\n\nlines, {% if %} {{ y }} <x> & \\n 'q' \"r\"", "Two\nlines", "日本 🙂 é"),
    ("a", " before and after\n", "b", "\n\nlines around\n\n", "c"),
    ("a", "<think>\nhm\n</think>\n\n b \n", "c", "no </think>\nonce </think>\n\n\nmore", "d", "x", "e"),
    ("<|im_start|>user", "[/INST] </s>", "assistant: user:", "A" * 200, "the same", "the same", "the same"),
)
_DROPPED: tuple[Dropped, ...] = get_args(Dropped)
# What ends a thought, what is dropped behind it and of every answer: the plainest first.
_ANSWERS: list[tuple[str | None, Dropped, Dropped]] = [
    *((None, "nothing", dropped) for dropped in _DROPPED),
    *(("</think>", behind, dropped) for behind in _DROPPED for dropped in _DROPPED),
]

Rendered = Callable[[Sequence[str], str | None], str]
_FOUND: TypeAdapter[ChatFormat | UnsplitChat] = TypeAdapter(ChatFormat | UnsplitChat)


class _NotSplit(Exception):
    """Why a template cannot be split."""


def chat_format(folder: Path, chat_template_file: str | None) -> ChatFormat | UnsplitChat | None:
    """What the chat template in an artifact's folder writes around messages; None where there is none.

    Raises:
        NotAnArtifact: a file that should tell is damaged.
    """
    template = find_template(folder, chat_template_file)
    if template is None:
        return None
    if isinstance(template, dict):
        return UnsplitChat(reason=f"there are several, for {', '.join(sorted(template))}")
    if splits_special_tokens(folder):
        return UnsplitChat(reason="the tokenizer takes the template's special tokens for plain text")
    return split_template(template, special_tokens(folder))


def unsplit_in_words(folder: Path, chat_template_file: str | None, chat: UnsplitChat) -> str:
    """What cannot be done with a template that is not split.

    Raises:
        NotAnArtifact: a file that should tell is damaged.
    """
    why = why_no_message(folder, chat_template_file)
    if why is None:
        return (
            f"The chat template cannot be split into texts around messages: {chat.reason}. "
            "slm generate and slm chat render it; the Android app's chat cannot."
        )
    return (
        f"The chat template renders no message: {why}. slm generate --no-chat sends texts as they are; to "
        "chat, put a chat_template.jinja that renders beside the model and convert it again."
    )


def split_template(template: str, tokens: dict[str, str]) -> ChatFormat | UnsplitChat:
    """What a template writes around messages, or why that is not made of texts that stay the same."""
    original = renderer()
    try:
        # All conversations in one process: most of the time goes into starting it.
        found = within_limits(lambda: _found(template, tokens, original).model_dump_json())
    except NotRendered as why:
        return UnsplitChat(reason=_not_rendered(str(why)))
    return _FOUND.validate_json(found)


def _found(template: str, tokens: dict[str, str], original: Render) -> ChatFormat | UnsplitChat:
    form = ContentForm(original, template, tokens)

    def marked(said: Sequence[str], system: str | None) -> str:
        return render(template, form.taken(_messages(said, system)), tokens, write_date=_mark)

    def real(said: Sequence[str], system: str | None) -> str:
        return original(template, form.taken(_messages(said, system)), tokens)

    try:
        return _split(_telling(marked), _telling(real))
    except _NotSplit as why:
        return UnsplitChat(reason=str(why))


def _not_rendered(why: str) -> str:
    return f"it does not render a plain conversation ({why})"


def _mark(format: str) -> str:
    rest = format
    for field in DATE_FIELDS:
        rest = rest.replace(field, "")
    if "%" in rest:
        raise _NotSplit("it writes the time of day")
    return f"{DATE_BEGIN}{format}{DATE_END}"


def _telling(rendered: Rendered) -> Rendered:
    """As given, with whatever a template raises as the reason."""

    def tell(said: Sequence[str], system: str | None) -> str:
        try:
            return rendered(said, system)
        except _NotSplit:
            raise
        except Exception as error:  # noqa: BLE001 - a template is a program from elsewhere and raises what it likes
            raise _NotSplit(_not_rendered(why_not_rendered(error))) from None

    return tell


def _split(marked: Rendered, real: Rendered) -> ChatFormat:
    opening, after_user, after_answer, again, once_more, new = _between(marked(_WORDS, None), _WORDS)
    if (after_user, after_answer) != (again, once_more):
        raise _NotSplit("it writes turns otherwise in other places")
    plain = ChatFormat(
        opening=opening,
        system_prefix=None,
        system_suffix=None,
        after_user=after_user,
        after_answer=after_answer,
        before_new_answer=new,
    )
    texts = {(said, system): _or_none(real, said, system) for said in _SAID for system in _SYSTEMS}
    found = _with_answers(plain, {said: texts[said, None] for said in _SAID})
    if found is None:
        raise _NotSplit("what it writes around a message depends on more than the speaker")
    try:
        prefix, suffix, *_ = _between(marked(_WORDS, _SYSTEM), (_SYSTEM, *_WORDS))
    except _NotSplit:
        return found
    with_system = found.model_copy(update={"system_prefix": prefix, "system_suffix": suffix})
    alike = all(
        _is(text, with_system, said, system) for (said, system), text in texts.items() if system is not None
    )
    return with_system if alike else found


def _with_answers(plain: ChatFormat, texts: dict[tuple[str, ...], str | None]) -> ChatFormat | None:
    """With the rule for earlier answers by which all conversations come out as they are rendered."""
    for end, behind, dropped in _ANSWERS:
        tried = plain.model_copy(
            update={"thought_end": end, "thought_drops": behind, "answer_drops": dropped}
        )
        if all(_is(text, tried, said, None) for said, text in texts.items()):
            return tried
    return None


def _is(text: str | None, tried: ChatFormat, said: Sequence[str], system: str | None) -> bool:
    # Rendering may have begun before midnight.
    today = datetime.date.today()
    days = (today, today - datetime.timedelta(days=1))
    return any(text == tried.text(said, system=system, today=day) for day in days)


def _or_none(rendered: Rendered, said: Sequence[str], system: str | None) -> str | None:
    try:
        return rendered(said, system)
    except _NotSplit:
        return None


def _between(text: str, words: Sequence[str]) -> list[str]:
    """What stands before, between and after words that come once each, in order."""
    pieces = []
    for word in words:
        before, found, text = text.partition(word)
        if not found or word in text:
            raise _NotSplit("it does not write every message once and in order")
        pieces.append(before)
    return [*pieces, text]


def _messages(said: Sequence[str], system: str | None) -> list[Message]:
    opening: list[Message] = [] if system is None else [{"role": "system", "content": system}]
    roles = ("user", "assistant")
    return [*opening, *({"role": roles[number % 2], "content": text} for number, text in enumerate(said))]
