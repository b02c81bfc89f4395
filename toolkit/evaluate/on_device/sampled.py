"""Some of the questions again in another place: does a device answer as this machine does?"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from toolkit.artifact import Frozen
from toolkit.evaluate.scoring import Answer, Request, ScoreAnswer

if TYPE_CHECKING:
    # It loads torch, and reports read scores alone.
    from toolkit.evaluate.on_device.asking import Asking


class Sampled(Frozen):
    """How the answers to some questions differ between two places.

    Attributes:
        where: the other place.
        n: questions that were asked in both.
        same: of them, those with the same outcome: greedy or not for a continuation's score, the very tokens
            for generated text.
        max_difference: largest difference of a token's log-probability, nats; None without a scored one.
    """

    where: str
    n: int
    same: int
    max_difference: float | None

    def __str__(self) -> str:
        apart = (
            ""
            if self.max_difference is None
            else f", log-probabilities up to {self.max_difference:.2g} apart"
        )
        return f"on {self.where}: {self.same} of {self.n} questions answered alike{apart}"


def sample_again(here: Asking, there: Asking, where: str, count: int, seed: int) -> Sampled:
    """Ask some of the questions that were asked in one place in another, and compare.

    Args:
        here: has asked them.
        there: is asked some of them.
        where: the other place, for people.
        count: how many at most.
        seed: of the choice.

    Raises:
        ToolkitError: the other place cannot answer; what it answered is kept.
    """
    asked = list(here.requests)
    chosen = random.Random(seed).sample(asked, min(count, len(asked)))
    return compared(chosen, here.answers(chosen), there.answers(chosen), where)


def compared(
    asked: Sequence[Request], here: Sequence[Answer], there: Sequence[Answer], where: str
) -> Sampled:
    """Compare answers to the same questions."""
    same, differences = 0, []
    for _, one, other in zip(asked, here, there, strict=True):
        if isinstance(one, ScoreAnswer) and isinstance(other, ScoreAnswer):
            same += one.greedy == other.greedy
            differences += [
                abs(a - b) for a, b in zip(one.log_probabilities, other.log_probabilities, strict=True)
            ]
        else:
            same += one == other
    return Sampled(where=where, n=len(asked), same=same, max_difference=max(differences, default=None))
