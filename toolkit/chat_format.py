"""What a chat template writes around messages, for programs that have no template language."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

# A date in a text is a format of strftime between these two (Unicode's private use).
DATE_BEGIN, DATE_END = "\ue000", "\ue001"
# No time of day: a conversation's beginning stays the same from turn to turn.
DATE_FIELDS = "%Y %y %m %d %b %B %a %A".split()
Dropped = Literal["nothing", "leading newlines", "white space"]
_DATE = re.compile(f"{DATE_BEGIN}(.*?){DATE_END}", re.DOTALL)


class ChatFormat(BaseModel):
    """Texts around what is said; joined with it they are what the chat template renders.

    Without a system message a conversation is ``opening``, the first user's text, ``after_user``, the answer,
    ``after_answer``, the next user's text and so on; after the last one comes ``before_new_answer``. With a
    system message ``system_prefix``, its text and ``system_suffix`` take the place of ``opening``. Texts of
    system and user have no white space at either end.

    Attributes:
        system_prefix: None where the template takes no system message, or not in one place.
        thought_end: what ends a model's thinking; of an answer in an earlier turn only what follows it stays.
        thought_drops: what is dropped of the rest behind it.
        answer_drops: what is dropped of every answer in an earlier turn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal["split"] = "split"
    opening: str
    system_prefix: str | None
    system_suffix: str | None
    after_user: str
    after_answer: str
    before_new_answer: str
    thought_end: str | None = None
    thought_drops: Dropped = "nothing"
    answer_drops: Dropped = "nothing"

    def text(
        self, said: Sequence[str], *, system: str | None = None, today: datetime.date | None = None
    ) -> str:
        """A conversation that waits for an answer.

        Args:
            said: texts of user and model in turn; the first and the last one are the user's.
            system: a message in front.
            today: for templates that write the date; the day of the call by default.
        """
        day = today or datetime.date.today()

        def dated(text: str | None) -> str:
            return _DATE.sub(lambda found: day.strftime(found[1]), text or "")

        pieces = [dated(self.opening)]
        if system is not None:
            pieces = [dated(self.system_prefix), system, dated(self.system_suffix)]
        for number, text in enumerate(said):
            by_user = number % 2 == 0
            pieces.append(text if by_user else self.answer(text))
            last = number == len(said) - 1
            then = self.after_user if by_user else self.after_answer
            pieces.append(dated(self.before_new_answer if last else then))
        return "".join(pieces)

    def answer(self, text: str) -> str:
        """What an answer is in the turns after it."""
        if self.thought_end is not None and self.thought_end in text:
            text = _without(text.rpartition(self.thought_end)[2], self.thought_drops)
        return _without(text, self.answer_drops)


def _without(text: str, dropped: Dropped) -> str:
    if dropped == "leading newlines":
        return text.lstrip("\n")
    return text.strip() if dropped == "white space" else text


class UnsplitChat(BaseModel):
    """A chat template whose text is not made of pieces that stay the same.

    Attributes:
        reason: what it does instead.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal["unsplit"] = "unsplit"
    reason: str
