"""The names by which runs are filtered and sorted, as in ``slm results list --where "decode > 50"``.

A run's own columns go by their names, those of its device and artifact carry a prefix (``device_soc``,
``artifact_scheme``), and frequent ones have a short name beside it (``decode``, ``backend``, ``model``).
A measurement goes by its name in the vocabulary.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from toolkit.errors import BadFilter
from toolkit.store import tables
from toolkit.store.checked_types import stored_type
from toolkit.store.measurements import Quantity, quantities
from toolkit.store.rows import DEVICE_KINDS, GATES, POWER_SOURCES, STATUSES

# "tag" is not a column of the run: a run has any number of them.
Kind = Literal["text", "number", "boolean", "time", "tag"]

_SHORT = {
    "algorithm": "artifact_algorithm",
    "backend": "artifact_backend",
    "created": "created_unix_ns",
    "decode": "decode_tokens_per_second",
    "emulated": "device_emulated",
    "group_size": "artifact_group_size",
    "model": "artifact_model",
    "pp": "prompt_tokens",
    "prefill": "prefill_tokens_per_second",
    "preset": "artifact_preset",
    "quantization": "artifact_quantization",
    "scheme": "artifact_scheme",
    "serial": "device_serial",
    "soc": "device_soc",
    "tg": "generate_tokens",
    "ttft": "ttft_ns",
}


@dataclass(frozen=True)
class Column:
    """One name that a filter or sort order may use.

    Attributes:
        name: the full name.
        short: a shorter one, or None.
        kind: what its values are; ``time`` is nanoseconds since 1970 and may be written as a date.
        expression: the database column.
        words: all that it may hold, where that is known; anything else would find nothing, without a word.
    """

    name: str
    short: str | None
    kind: Kind
    expression: sa.ColumnElement[Any]
    words: Sequence[str] = ()


_WORDS = {
    "status": STATUSES,
    "gate": GATES,
    "power_source": POWER_SOURCES,
    "device_kind": DEVICE_KINDS,
}


def _kind(column: sa.Column[Any]) -> Kind | None:
    if column.name.endswith("_unix_ns"):
        return "time"
    if isinstance(stored_type(column), sa.Boolean):
        return "boolean"
    if isinstance(stored_type(column), sa.Integer | sa.Float):
        return "number"
    # Lists and documents have no order and no equality that all databases agree on.
    return None if isinstance(stored_type(column), sa.JSON) else "text"


def _stored() -> Mapping[str, Column]:
    shorts = {full: short for short, full in _SHORT.items()}
    columns = {}
    for table, prefix in ((tables.runs, ""), (tables.devices, "device_"), (tables.artifacts, "artifact_")):
        for column in table.columns:
            name, kind = prefix + column.name, _kind(column)
            if kind is not None and not column.foreign_keys:
                columns[name] = Column(name, shorts.get(name), kind, column, _WORDS.get(name, ()))
    columns["artifact_sha256"] = Column("artifact_sha256", None, "text", tables.runs.c.artifact_sha256)
    columns["tag"] = Column("tag", None, "tag", tables.tags.c.tag)
    return columns


_STORED: Mapping[str, Column] = _stored()


def all_columns() -> Mapping[str, Column]:
    """Every column by its full name: those of the tables, and one for each measurement of a run."""
    return {**_STORED, **{one.name: _of_quantity(one) for one in quantities("run")}}


def _of_quantity(quantity: Quantity) -> Column:
    return Column(quantity.name, None, "number", _value(quantity))


def _value(quantity: Quantity) -> sa.ColumnElement[Any]:
    """The measurement's value of a run; null where it was not measured."""
    of = tables.measurements.c
    found = sa.select(of.value).where(
        of.run_id == tables.runs.c.id, of.name == quantity.name, of.repetition.is_(None)
    )
    return found.correlate(tables.runs).scalar_subquery()


def find_column(name: str) -> Column:
    """The column of a full or short name, in any case.

    Raises:
        BadFilter: no such column; the next step names the closest ones.
    """
    lowered = name.lower()
    full = _SHORT.get(lowered, lowered)
    measured = (_of_quantity(one) for one in quantities("run") if one.name == full)
    found = next(measured, None) or _STORED.get(full)
    if found is None:
        raise BadFilter(
            f"unknown column {name!r}", next_step=f"{_did_you_mean(lowered)}See: slm results columns"
        )
    return found


def _did_you_mean(name: str) -> str:
    known = [*all_columns(), *_SHORT]
    near = difflib.get_close_matches(name, known, n=2, cutoff=0.6)
    near = near or sorted(known_name for known_name in known if name in known_name)[:3]
    return f"Did you mean {' or '.join(map(repr, near))}? " if near else ""


def sort_order(names: Sequence[str]) -> list[sa.ColumnElement[Any]]:
    """ORDER BY expressions for names such as ``model`` or ``-decode`` (descending); unknown figures go last.

    Raises:
        BadFilter: an unknown column, or one that runs cannot be ordered by.
    """
    order: list[sa.ColumnElement[Any]] = []
    for name in names:
        column = find_column(name.removeprefix("-"))
        if column.kind == "tag":
            raise BadFilter("runs cannot be sorted by tag: a run may have several", next_step="Use --where.")
        expression = column.expression
        order.append((expression.desc() if name.startswith("-") else expression.asc()).nulls_last())
    return order
