"""Choosing entries and their order."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from toolkit.errors import UsageError
from toolkit.models.catalogue.entry import AttentionKind, Entry

_COUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([KMBT]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
ORDERS = ("name", "params", "released", "family")


@dataclass(frozen=True)
class Selection:
    """What an entry must be; a fact that is not known passes no filter on it.

    Attributes:
        text: part of the name, the family, the organisation or the hub id.
        group: a list it is in; ``survey`` means any of the survey's.
        minimum_parameters, maximum_parameters: unique ones.
        since: the first month, ``2024-01``.
        buildable: has a config.
        made_up: also the tiny ones that exist for tests.
    """

    text: str | None = None
    attention: AttentionKind | None = None
    group: str | None = None
    minimum_parameters: int | None = None
    maximum_parameters: int | None = None
    since: str | None = None
    buildable: bool = False
    made_up: bool = False

    def takes(self, entry: Entry) -> bool:
        """Whether an entry passes."""
        words = (entry.name, entry.family, entry.organisation or "", entry.hub_id or "")
        unique = entry.parameters.unique if entry.parameters else None
        return (
            (self.made_up or not entry.made_up)
            and (self.text is None or any(self.text.casefold() in word.casefold() for word in words))
            and (self.attention is None or entry.architecture.attention == self.attention)
            and (self.group is None or any(_in_group(one, self.group) for one in entry.groups))
            and (
                self.minimum_parameters is None or (unique is not None and unique >= self.minimum_parameters)
            )
            and (
                self.maximum_parameters is None or (unique is not None and unique <= self.maximum_parameters)
            )
            and (self.since is None or (entry.released is not None and entry.released >= self.since))
            and (not self.buildable or entry.config is not None)
        )


def select(entries: Iterable[Entry], selection: Selection, order: str = "name") -> list[Entry]:
    """Those that pass, sorted; what is not known comes last.

    Raises:
        UsageError: no such order, or no such group.
    """
    if order.removeprefix("-") not in ORDERS:
        raise UsageError(f"Unknown order {order!r}.", next_step=f"Available: {', '.join(ORDERS)}, -ORDER")
    every = list(entries)
    groups = sorted({group for entry in every for group in entry.groups})
    if selection.group is not None and not any(_in_group(one, selection.group) for one in groups):
        raise UsageError(
            f"Unknown group {selection.group!r}.", next_step=f"Available: survey, {', '.join(groups)}"
        )
    chosen = [entry for entry in every if selection.takes(entry)]
    key = order.removeprefix("-")
    known = [entry for entry in chosen if _value(entry, key) is not None]
    unknown = [entry for entry in chosen if _value(entry, key) is None]
    known.sort(key=lambda entry: _value(entry, key) or "", reverse=order.startswith("-"))
    return known + unknown


def parameter_count(text: str) -> int:
    """``700M`` or ``1.5B`` as a number.

    Raises:
        UsageError: no such number.
    """
    match = _COUNT.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no number of parameters", next_step="Give 135M, 1.5B or 1500000000.")
    return round(float(match[1]) * _UNITS[match[2].lower()])


def _in_group(group: str, asked: str) -> bool:
    return group == asked or group.startswith(f"{asked}-")


def _value(entry: Entry, order: str) -> tuple[int | str, str] | None:
    if order == "params":
        return (entry.parameters.unique, entry.name) if entry.parameters else None
    if order == "released":
        return (entry.released, entry.name) if entry.released else None
    first = entry.family if order == "family" else entry.name
    return (first.casefold(), entry.name)
