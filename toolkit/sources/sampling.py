"""Which of a file's sampling values the options of ``slm generate`` take: advice must be accepted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Name in transformers -> option, least and largest value that it takes.
_OPTIONS: dict[str, tuple[str, float, float]] = {
    "temperature": ("--temperature", 0.0, 100.0),
    "top_k": ("--top-k", 0, 1_000_000),
    "top_p": ("--top-p", 0.01, 1.0),
}


def sampling_options(asked: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Options for what a file asks, and the names of those that no option takes.

    Args:
        asked: values by transformers' names; None asks for nothing, as does a name that is not there.
    """
    options, beyond = [], []
    for name, (option, least, largest) in _OPTIONS.items():
        value = asked.get(name)
        if value is None:
            continue
        whole = isinstance(least, int)
        is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if is_number and least <= value <= largest:
            # 0.7 is 0.699999988079071 in the 32 bits of some files.
            options.append(f"{option} {value if whole or isinstance(value, int) else round(value, 6)}")
        else:
            beyond.append(name)
    return " ".join(options), beyond
