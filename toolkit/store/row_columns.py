"""Columns of the tables from the fields of the rows, so that a figure is written down once.

A field of a dataclass type stands for columns of its own, with the field's name before theirs: ``energy`` of
a run gives ``energy_source``. When it may be None, so may they all.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa

from toolkit.store.rows import BITS_64, Characters

Row = TypeVar("Row")

# Of a column's info: what its values are in Python, without None.
HINT = "hint"


@dataclass(frozen=True)
class _Field:
    """A field of a row: ``nested`` is its dataclass, ``hint`` its type without None."""

    name: str
    hint: Any
    marks: tuple[Any, ...]
    optional: bool
    nested: type | None
    required: bool


def _fields(row: Any) -> tuple[_Field, ...]:
    return _read_fields(row)


@lru_cache(maxsize=32)
def _read_fields(row: Any) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(row, include_extras=True)
    found = []
    for field in fields(row):
        hint, optional = _without_none(hints[field.name])
        marks: tuple[Any, ...] = ()
        if typing.get_origin(hint) is typing.Annotated:
            hint, *extras = typing.get_args(hint)
            marks = tuple(extras)
        nested = hint if isinstance(hint, type) and is_dataclass(hint) else None
        found.append(_Field(field.name, hint, marks, optional, nested, field.default is MISSING))
    return tuple(found)


def _without_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) not in (types.UnionType, typing.Union):
        return hint, False
    [inner] = [part for part in typing.get_args(hint) if part is not type(None)]
    return inner, True


def columns_of(
    row: type, *, keys: Sequence[str] = (), references: Mapping[str, str] | None = None
) -> list[sa.Column[Any]]:
    """The columns of a row's fields, in their order.

    Args:
        row: a dataclass of :mod:`toolkit.store.rows`.
        keys: the columns of the primary key.
        references: the column in another table, such as ``devices.key``, that a column points to.
    """
    references = references or {}
    return [
        sa.Column(
            name,
            _type(field, optional),
            *([sa.ForeignKey(references[name])] if name in references else []),
            primary_key=name in keys,
            autoincrement=False,
            nullable=optional,
            info={HINT: field.hint},
        )
        for name, field, optional in _leaves(row)
    ]


def _leaves(row: type, prefix: str = "", within_optional: bool = False) -> Iterator[tuple[str, _Field, bool]]:
    for field in _fields(row):
        optional = field.optional or within_optional
        if field.nested is not None:
            yield from _leaves(field.nested, f"{prefix}{field.name}_", optional)
        else:
            yield prefix + field.name, field, optional


def _type(field: _Field, optional: bool) -> sa.types.TypeEngine[Any]:
    widths = [mark.maximum for mark in field.marks if isinstance(mark, Characters)]
    if widths:
        return sa.String(widths[0])
    if typing.get_origin(field.hint) is not None:
        # Lists; without none_as_null an unknown one would be stored as JSON's null.
        return sa.JSON(none_as_null=True) if optional else sa.JSON()
    if field.hint is int:
        return sa.BigInteger() if BITS_64 in field.marks else sa.Integer()
    plain: dict[Any, Callable[[], sa.types.TypeEngine[Any]]] = {
        bool: sa.Boolean, float: sa.Float, str: sa.Text
    }  # fmt: skip
    return plain[field.hint]()


def values_of(row: Any) -> dict[str, Any]:
    """A row's values by column."""
    values: dict[str, Any] = {}
    for field in _fields(type(row)):
        value = getattr(row, field.name)
        if field.nested is None:
            values[field.name] = value
        else:
            inner = (
                {name: None for name, _, _ in _leaves(field.nested)} if value is None else values_of(value)
            )
            values |= {f"{field.name}_{name}": one for name, one in inner.items()}
    return values


def column_names(row: type) -> tuple[str, ...]:
    """The names of a row's columns, in their order."""
    return tuple(name for name, _, _ in _leaves(row))


def row_of(row: type[Row], values: Mapping[Any, Any], prefix: str = "") -> Row:
    """A row from values by column name, each with ``prefix`` before it.

    A part of its own is None when one of its columns that must be known is not.
    """
    read: dict[str, Any] = {}
    for field in _fields(row):
        if field.nested is None:
            value = values[prefix + field.name]
            # JSON knows only lists; a frozen row holds tuples.
            read[field.name] = tuple(value) if isinstance(value, list) else value
        else:
            inner = f"{prefix}{field.name}_"
            needed = [inner + part.name for part in _fields(field.nested) if part.required]
            unknown = any(values[name] is None for name in needed)
            read[field.name] = None if unknown else row_of(field.nested, values, inner)
    return row(**read)
