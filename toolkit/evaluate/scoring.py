"""Questions to a model in token ids, and its answers; who answers is somebody else's business."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class ScoreRequest:
    """How likely is what follows?

    Attributes:
        tokens: a context and its continuation.
        first: index of the continuation's first token; at least 1.
    """

    tokens: tuple[int, ...]
    first: int

    @property
    def positions(self) -> int:
        """Of the cache that it needs; the last token is never fed."""
        return len(self.tokens) - 1


@dataclass(frozen=True)
class ContinueRequest:
    """What follows, greedily?

    Attributes:
        tokens: the prompt.
        maximum: tokens to generate at most.
        stops: tokens that end it, and are left out.
        sequences: several tokens in a row that do.
    """

    tokens: tuple[int, ...]
    maximum: int
    stops: tuple[int, ...] = ()
    sequences: tuple[tuple[int, ...], ...] = ()

    @property
    def positions(self) -> int:
        """Of the cache that it needs; the last token is never fed."""
        return len(self.tokens) + self.maximum - 1

    def cut(self, found: list[int]) -> bool:
        """Take a stop sequence off the end of what was found, if there is one."""
        for sequence in self.sequences:
            if tuple(found[-len(sequence) :]) == sequence:
                del found[-len(sequence) :]
                return True
        return False


@dataclass(frozen=True)
class ScoreAnswer:
    """Natural log-probabilities of the continuation's tokens; ``greedy``: each was the likeliest."""

    log_probabilities: tuple[float, ...]
    greedy: bool


@dataclass(frozen=True)
class ContinueAnswer:
    """The greedy continuation."""

    token_ids: tuple[int, ...]


Request = ScoreRequest | ContinueRequest
Answer = ScoreAnswer | ContinueAnswer
# Called with a request's index and its answer, as soon as it is known.
OnAnswer = Callable[[int, Answer], None]


class Scorer(Protocol):
    """A model that answers."""

    def answer(self, requests: Sequence[Request], on_answer: OnAnswer) -> None:
        """Answer all requests, in whatever order suits.

        Raises:
            BadLogits: the model gives logits that are no numbers.
            ToolkitError: the model cannot answer; what was answered before stays so.
        """
        ...


def shared_order(requests: Sequence[Request]) -> list[int]:
    """Indices in an order in which texts that begin alike follow each other."""
    return sorted(range(len(requests)), key=lambda index: requests[index].tokens)


def shared_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts begin with in common."""
    length = min(len(one), len(other))
    if one[:length] == other[:length]:
        return length
    return next(index for index in range(length) if one[index] != other[index])
