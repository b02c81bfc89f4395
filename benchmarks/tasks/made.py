"""Questions of three tasks made for docs/studies.md, where the survey's data sets could not be had.

They are easy, few and in no way a benchmark: they show that the studies of abilities work.
"""

from __future__ import annotations

from typing import Any

from datasets import Dataset, DatasetDict

# Of each task the first ones are the examples in prompts, the others are asked.
_EXAMPLES = 8

_CAPITALS = (
    "Sweden Stockholm, Kenya Nairobi, Chile Santiago, Ireland Dublin, Thailand Bangkok, Hungary "
    "Budapest, Ghana Accra, Cuba Havana, France Paris, Germany Berlin, Italy Rome, Spain Madrid, "
    "Portugal Lisbon, Greece Athens, Norway Oslo, Denmark Copenhagen, Finland Helsinki, Poland Warsaw, "
    "Austria Vienna, Belgium Brussels, Russia Moscow, Ukraine Kyiv, Turkey Ankara, Egypt Cairo, Morocco "
    "Rabat, Nigeria Abuja, Ethiopia Addis_Ababa, Iran Tehran, Iraq Baghdad, India New_Delhi, China "
    "Beijing, Japan Tokyo, Indonesia Jakarta, Australia Canberra, Canada Ottawa, Mexico Mexico_City, "
    "Peru Lima, Argentina Buenos_Aires, Uruguay Montevideo, Colombia Bogota, Venezuela Caracas, Ecuador "
    "Quito, Bulgaria Sofia, Romania Bucharest, Serbia Belgrade, Croatia Zagreb, Iceland Reykjavik, "
    "Nepal Kathmandu"
)
_OPPOSITES = (
    "early late, near far, sweet bitter, above below, give take, start finish, rich poor, lazy busy, "
    "hot cold, big small, tall short, fast slow, old young, light dark, hard soft, wet dry, full empty, "
    "open closed, high low, strong weak, happy sad, clean dirty, loud quiet, wide narrow, deep shallow, "
    "heavy light, thick thin, sharp dull, smooth rough, brave afraid, cheap expensive, easy difficult, "
    "true false, right wrong, left right, inside outside, up down, before after, always never, love "
    "hate, buy sell, win lose, push pull, remember forget, increase decrease, arrive leave, asleep "
    "awake, alive dead"
)
# Two numbers that go round in circles of 11 and 13: no sum is asked twice.
_SUMS = ", ".join(f"{2 + 7 * n % 11}_+_{2 + 5 * n % 13} {4 + 7 * n % 11 + 5 * n % 13}" for n in range(48))


def capitals(**_: Any) -> DatasetDict:
    """The capital of a country, among those of three others."""
    return _questions(_CAPITALS)


def opposites(**_: Any) -> DatasetDict:
    """The opposite of a word, among those of three others."""
    return _questions(_OPPOSITES)


def sums(**_: Any) -> DatasetDict:
    """The sum of two small numbers, among three that are near it."""
    return _questions(_SUMS, near=True)


def _questions(pairs: str, *, near: bool = False) -> DatasetDict:
    known = [tuple(word.replace("_", " ") for word in pair.split()) for pair in pairs.split(", ")]
    rows = []
    for number, (asked, answer) in enumerate(known):
        if near:
            others = [str(int(answer) + step) for step in (-2, -1, 1)]
        else:
            others = [known[(number + step) % len(known)][1] for step in (5, 11, 17)]
        place = number % 4
        choices = [*others[:place], answer, *others[place:]]
        rows.append({"asked": asked, "choices": choices, "answer": place})
    return DatasetDict(
        {"examples": Dataset.from_list(rows[:_EXAMPLES]), "test": Dataset.from_list(rows[_EXAMPLES:])}
    )
