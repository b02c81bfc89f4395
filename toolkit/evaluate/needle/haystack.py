"""Long texts with facts hidden in them, and what is asked about the facts.

As in NeedleBench (Li et al., 2024), which the survey measures long context with: a single fact, several
facts, and several facts that have to be put together. Facts are made up, so that no model knows them from
elsewhere; the haystack is a text in the public domain, said again from its beginning where it is too short.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# README.md beside it says where it comes from.
TEXT = Path(__file__).with_name("opticks_query31.txt")

Kind = Literal["single", "several", "reasoning"]
KINDS: tuple[Kind, ...] = ("single", "several", "reasoning")

# Facts of the kinds with several of them.
FACTS = 3
_NAMES = (
    *("Alder", "Birch", "Cedar", "Elder", "Hazel", "Holly", "Juniper", "Larch"),
    *("Laurel", "Linden", "Maple", "Myrtle", "Olive", "Rowan", "Sorrel", "Willow"),
)
_ENCODE = Callable[[str], list[int]]


@dataclass(frozen=True)
class Question:
    """What is asked at the end of a haystack.

    Attributes:
        prompt: the last words, which the model goes on from.
        answer: what it must say.
    """

    prompt: str
    answer: str


@dataclass(frozen=True)
class Hidden:
    """Facts, and the questions about them.

    Attributes:
        facts: sentences, in the order in which they stand in the text.
        questions: each asked by itself.
    """

    facts: tuple[str, ...]
    questions: tuple[Question, ...]


def text() -> str:
    """The haystack: Query 31 of Newton's Opticks (1730)."""
    return TEXT.read_text(encoding="utf-8")


def hide(kind: Kind, seed: int) -> Hidden:
    """Facts of a kind; the same for the same seed."""
    chance = random.Random(f"{kind} {seed}")
    names = chance.sample(_NAMES, FACTS)
    numbers = [str(chance.randrange(1000, 10000)) for _ in names]
    if kind == "reasoning":
        facts = [f"The secret number of {names[0]} is {numbers[0]}."]
        for one, other in zip(names[1:], names, strict=False):
            facts.append(f"The secret number of {one} is the same as the secret number of {other}.")
        # Told in another order than they follow from each other.
        chance.shuffle(facts)
        return Hidden(tuple(facts), (_ask(names[-1], numbers[0]),))
    count = 1 if kind == "single" else FACTS
    stated = [
        f"The secret number of {name} is {number}."
        for name, number in zip(names[:count], numbers, strict=False)
    ]
    asked = tuple(_ask(name, number) for name, number in zip(names[:count], numbers, strict=False))
    return Hidden(tuple(stated), asked)


def prompts(
    hidden: Hidden, haystack: Sequence[int], encode: _ENCODE, prefix: Sequence[int], length: int, depth: float
) -> list[tuple[int, ...]]:
    """Token ids of one text for each question, as long as asked for.

    Args:
        hidden: facts and questions.
        haystack: the text's token ids, cut off or said again as needed.
        encode: token ids of words within a text.
        prefix: what a text begins with.
        length: tokens of the whole, question included.
        depth: where the first fact stands, 0 at the beginning and 1 at the end; further ones stand evenly
            between it and the end.

    Raises:
        ValueError: facts and question alone are longer.
    """
    facts = [encode(f" {fact}") for fact in hidden.facts]
    texts = []
    for question in hidden.questions:
        end = encode(f"\n\n{question.prompt}")
        room = length - len(prefix) - len(end) - sum(map(len, facts))
        if room < 0:
            raise ValueError(f"{length} tokens do not hold the facts")
        hay = (list(haystack) * (room // len(haystack) + 1))[:room]
        first = round(depth * room)
        ids = [*prefix, *hay[:first]]
        for number, fact in enumerate(facts):
            begin = first + (room - first) * number // len(facts)
            finish = first + (room - first) * (number + 1) // len(facts)
            ids += [*fact, *hay[begin:finish]]
        texts.append((*ids, *end))
    return texts


def _ask(name: str, number: str) -> Question:
    return Question(f"The secret number of {name} is", number)
