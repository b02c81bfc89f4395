"""The figures that runs are compared by: where they come from, and which direction is good.

What they mean is defined in docs/protocol.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from toolkit.errors import UsageError
from toolkit.registry import Registry, unknown_name
from toolkit.store.columns import find_column
from toolkit.store.measurements import tokens_per_second


@dataclass(frozen=True)
class RepetitionTimes:
    """What a repetition's figures are made of; see :class:`toolkit.store.rows.Repetition`."""

    prompt_tokens: int
    decode_steps: int
    prefill_ns: int | None
    decode_total_ns: int


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        name: the run's column or measurement, which holds the median over its repetitions.
        unit: as shown.
        scale: what the stored number is divided by to be shown in that unit.
        higher_is_better: the good direction.
        phase: what of a run it is of: its prefill, its decoding, or both in one time; None for the process.
        of_repetition: gives the figure of one repetition, or None where it was not timed. None for figures
            of which a run has just one.
    """

    name: str
    unit: str
    scale: float
    higher_is_better: bool
    phase: Literal["prefill", "decode", "combined"] | None = None
    of_repetition: Callable[[RepetitionTimes], float | None] | None = None

    @property
    def column(self) -> sa.ColumnElement[float]:
        """The run's figure in the database."""
        return find_column(self.name).expression

    def is_better(self, value: float, other: float) -> bool:
        """Whether ``value`` is the better one of two."""
        return value > other if self.higher_is_better else value < other

    def shown(self, value: float) -> str:
        """The value in the figure's unit, without it."""
        scaled = value / self.scale
        return f"{scaled:.0f}" if scaled >= 1000 else f"{scaled:.1f}" if scaled >= 10 else f"{scaled:.3g}"


def _prefill(times: RepetitionTimes) -> float | None:
    return tokens_per_second(times.prompt_tokens, times.prefill_ns) if times.prefill_ns else None


def _decode(times: RepetitionTimes) -> float | None:
    return tokens_per_second(times.decode_steps, times.decode_total_ns) if times.decode_total_ns else None


_FIGURES = (
    Figure("decode_tokens_per_second", "tok/s", 1, True, "decode", _decode),
    Figure("prefill_tokens_per_second", "tok/s", 1, True, "prefill", _prefill),
    Figure("ttft_ns", "ms", 1e6, False, "prefill", lambda times: times.prefill_ns),
    Figure("load_ns", "ms", 1e6, False),
    Figure("peak_bytes", "MB", 1e6, False),
    Figure("combined_tokens_per_second", "tok/s", 1, True, "combined"),
    Figure("prefill_joules_per_token", "J", 1, False, "prefill"),
    Figure("decode_joules_per_token", "J", 1, False, "decode"),
)

FIGURES: Registry[Figure] = Registry("figure", UsageError)
for _figure in _FIGURES:
    FIGURES.register(_figure.name, _figure)

SHORT_NAMES: Mapping[str, str] = {
    "decode": "decode_tokens_per_second",
    "prefill": "prefill_tokens_per_second",
    "ttft": "ttft_ns",
    "load": "load_ns",
    "memory": "peak_bytes",
}


def find_figure(name: str) -> Figure:
    """A figure by its full or short name.

    Raises:
        UsageError: no such figure; names the known ones.
    """
    if name not in SHORT_NAMES and name not in FIGURES:
        raise unknown_name("figure", name, [*SHORT_NAMES, *FIGURES], UsageError)
    return FIGURES.get(SHORT_NAMES.get(name, name))
