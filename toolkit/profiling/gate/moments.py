"""Readings and what they were taken around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from toolkit.devices.base import Readings


@dataclass(frozen=True)
class Moment:
    """Readings and what they belong to; ``repetition`` is None for those around the whole run."""

    moment: Literal["before", "after"]
    repetition: int | None
    readings: Readings


_MOMENTS = TypeAdapter(list[Moment])


def parse_moments(texts: Sequence[str]) -> tuple[Moment, ...]:
    """The readings out of gate tokens found on a device, each once; a token of another kind holds none."""
    found: dict[tuple[str, int | None], Moment] = {}
    for text in texts:
        try:
            moments = _MOMENTS.validate_json(text)
        except ValueError:
            continue
        found |= {(moment.moment, moment.repetition): moment for moment in moments}
    return tuple(sorted(found.values(), key=lambda moment: moment.readings.unix_ns))
