"""Text from a stream of token ids, piece by piece; the pieces together are the decoded whole."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_REPLACEMENT = "\ufffd"
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class TextStream:
    """Turns ids into text as they come; holds back what a later token may still change.

    Held back are bytes of a character that is not whole yet, and with a vocabulary that falls back to bytes
    the whole run of them: one bad byte makes all of its run unreadable, so nothing of it is certain before
    the run ends.

    Only the last settled tokens are decoded again, as context: a decoder treats the first token of a text in
    its own way. tokenizers' DecodeStream does the same, but raises where bytes are no valid UTF-8, and drops
    what is unfinished at the end.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder().values()
        self._special = {token.content for token in added if token.special}
        self._ids: list[int] = []
        # Settled tokens that still serve as context, with their own text.
        self._context: list[int] = []
        self._context_text = ""
        self._pending: list[int] = []
        self._given = ""

    def feed(self, token_id: int) -> str:
        """The text that this token completes, often empty within a multi-byte character."""
        token = self._tokenizer.id_to_token(token_id)
        if token is None or token in self._special:
            return ""  # Not part of the text, as if it were not there.
        self._ids.append(token_id)
        self._pending.append(token_id)
        if _BYTE.fullmatch(token):
            return ""
        text = self._decode(self._context + self._pending)
        if text.endswith(_REPLACEMENT) or not text.startswith(self._context_text):
            return ""
        piece = text[len(self._context_text) :]
        alone = self._decode(self._pending)
        # A context without text would leave the next token at the beginning of a text.
        self._context = self._pending if alone else self._context + self._pending
        self._context_text = alone or text
        self._pending = []
        self._given += piece
        return piece

    def finish(self) -> str:
        """What was held back, now that nothing follows; bytes of an unfinished character become U+FFFD."""
        whole = self._decode(self._ids)
        piece = whole[len(self._given) :] if whole.startswith(self._given) else ""
        self._given += piece
        self._pending = []
        return piece

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text
