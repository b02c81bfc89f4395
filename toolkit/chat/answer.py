"""What a model answers: its tokens, their text as it comes, and what ended it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from toolkit.analysis.metrics import decode_tokens_per_second
from toolkit.artifact import Frozen
from toolkit.chat.stream import TextStream

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# stop: the model, or a text that was to end it. length: as many tokens as were asked for, or as fit.
# stopped: by whoever asked.
Ending = Literal["stop", "length", "stopped"]


class Generated(Frozen):
    """What was generated.

    Attributes:
        prompt_ids: the prompt as the model saw it.
        token_ids: generated tokens, without the one that ended the generation.
        token_ns: time of each token; the first one's is the prefill's.
        text: up to the first of the texts that were to end it.
        ending: what ended it.
        kept: tokens at the prompt's beginning that the model still had from the text before.
    """

    prompt_ids: list[int]
    token_ids: list[int]
    token_ns: list[int]
    text: str
    ending: Ending
    kept: int = 0

    @property
    def tokens_per_second(self) -> float | None:
        """Of the tokens after the first one; None where there are none."""
        return decode_tokens_per_second(self.token_ns[1:])

    def speed(self) -> str:
        """How long it was and how fast it came, for people."""
        kept = f" ({self.kept} kept)" if self.kept else ""
        counts = f"{len(self.prompt_ids)} prompt tokens{kept}, {len(self.token_ids)} generated"
        if not self.token_ns:
            return counts
        rate = self.tokens_per_second
        then = "" if rate is None else f", then {rate:.1f} tok/s"
        return f"{counts}; first after {self.token_ns[0] / 1e6:.0f} ms{then}"


class AnswerText:
    """Takes tokens and hands out their text, up to the first of the texts that are to end it.

    What may be the beginning of such a text is held back until that is clear.

    Args:
        tokenizer: the model's.
        stops: texts that end the answer, whatever tokens they come in; none of them empty.
        on_text: told the text piece by piece.

    Attributes:
        token_ids: of all tokens taken.
        stopped: one of the texts has come.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str], on_text: Callable[[str], None]) -> None:
        self.token_ids: list[int] = []
        self.stopped = False
        self._stream = TextStream(tokenizer)
        self._stops = stops
        self._on_text = on_text
        self._token_ns: list[int] = []
        self._text = ""
        self._held = ""

    def take(self, token_id: int, ns: int) -> None:
        """Take the next token."""
        if not self.stopped:
            self.token_ids.append(token_id)
            self._token_ns.append(ns)
            self._say(self._stream.feed(token_id))

    def finish(self) -> None:
        """No token follows: what was held back is text."""
        if not self.stopped:
            self._say(self._stream.finish())
        if not self.stopped:
            self._give(self._held)

    def generated(self, prompt: list[int], ending: Ending, kept: int = 0) -> Generated:
        """What has been generated; called once, after :meth:`finish`."""
        return Generated(
            prompt_ids=prompt,
            token_ids=self.token_ids,
            token_ns=self._token_ns,
            text=self._text,
            ending="stop" if self.stopped else ending,
            kept=kept,
        )

    def _say(self, piece: str) -> None:
        self._held += piece
        found = [at for at in (self._held.find(stop) for stop in self._stops) if at >= 0]
        if found:
            self.stopped = True
            self._give(self._held[: min(found)])
            return
        held = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        given, self._held = self._held[: len(self._held) - held], self._held[len(self._held) - held :]
        self._give(given)

    def _give(self, text: str) -> None:
        self._text += text
        if text:
            self._on_text(text)


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of a text are the beginning of another, but not all of it."""
    longest = min(len(text), len(stop) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(stop[:length])), 0)
