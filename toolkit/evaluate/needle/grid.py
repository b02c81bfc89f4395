"""The lengths and depths that a user writes, as numbers."""

from __future__ import annotations

import math

from toolkit.errors import UsageError


def given_lengths(text: str | None) -> list[int] | None:
    """Lengths of texts in tokens, shortest first; None where none are given.

    Raises:
        UsageError: they cannot be read, or are no numbers of tokens.
    """
    if text is None:
        return None
    found = _numbers(text, "--lengths")
    if wrong := [one for one in found if one != int(one) or one < 1]:
        raise UsageError(
            f"--lengths {text}: {wrong[0]:g} is no number of tokens",
            next_step="Write whole numbers with commas: --lengths 512,1024.",
        )
    return sorted({int(one) for one in found})


def given_depths(text: str) -> list[float]:
    """Depths from 0 to 1, the first ones first.

    Raises:
        UsageError: they cannot be read, or are no percents.
    """
    found = sorted({one / 100 for one in _numbers(text, "--depths")})
    if found[0] < 0 or found[-1] > 1:
        raise UsageError(
            f"--depths {text}: percents from 0 to 100",
            next_step="Write them with commas: --depths 0,50,100.",
        )
    return found


def _numbers(text: str, flag: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or not all(map(math.isfinite, found)):
        raise UsageError(
            f"{flag} {text}: no list of numbers", next_step=f"Write them with commas: {flag} 25,50."
        )
    return found
