"""What SQLite gives back is looked at before anybody counts on its type.

SQLite keeps whatever is written into a column: a text among numbers, say, where somebody edited the file.
Such a value is an error that names its place, never a traceback somewhere behind.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.operators import OperatorType

# The last nanosecond of the year 9999, where dates end.
LAST_UNIX_NS = 253_402_300_799_999_999_999

Check = Callable[[Any], bool]


class WrongStoredValue(ValueError):
    """A value that its column cannot hold.

    Attributes:
        table, column: where it stands.
        value: as the database gives it back.
    """

    def __init__(self, table: str, column: str, value: Any, wanted: str) -> None:
        super().__init__(f"{table}.{column} holds {_shortened(value)}, not {wanted}")
        self.table, self.column, self.value = table, column, value


class CheckedType(sa.types.TypeDecorator[Any]):
    """A column's type, whose values are checked when SQLite gives them back. Others check what is written.

    Args:
        stored: the type itself.
        table, column: whose.
        hint: what its values are in Python, without None.
    """

    impl = sa.types.NullType
    cache_ok = True
    # As without a decorator: IS true, whose negation is known, and no bound value.
    coerce_to_is_types = (type(None), bool)

    def __init__(self, stored: sa.types.TypeEngine[Any], table: str, column: str, hint: Any) -> None:
        super().__init__()
        self.impl = stored  # type: ignore[assignment]
        self.stored, self.table, self.column, self.hint = stored, table, column, hint

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> Any:
        """As the type itself does it: a whole number may be compared with one that is not."""
        return self.stored.coerce_compared_value(op, value)

    def result_processor(self, dialect: sa.Dialect, coltype: Any) -> Callable[[Any], Any] | None:
        """Reads a value, and raises WrongStoredValue."""
        read = self.stored.dialect_impl(dialect).result_processor(dialect, coltype)
        if dialect.name != "sqlite":
            return read
        table, column = self.table, self.column
        is_raw, is_value, wanted = _checks(self.hint, column)

        def process(raw: Any) -> Any:
            if raw is None:
                return None
            if not is_raw(raw):
                raise WrongStoredValue(table, column, raw, wanted)
            value = raw
            if read is not None:
                try:
                    value = read(raw)
                except (ValueError, RecursionError):
                    raise WrongStoredValue(table, column, raw, wanted) from None
            if is_value is not None and not is_value(value):
                raise WrongStoredValue(table, column, raw, wanted)
            return value

        return process


def stored_type(column: sa.Column[Any]) -> sa.types.TypeEngine[Any]:
    """A column's type without the check."""
    return column.type.stored if isinstance(column.type, CheckedType) else column.type


def _checks(hint: Any, column: str) -> tuple[Check, Check | None, str]:
    """Checks of what the database gives and of what is read of it, and what is wanted in words."""
    if hint is int and column.endswith("unix_ns"):
        return lambda raw: type(raw) is int and 0 <= raw <= LAST_UNIX_NS, None, "a time in ns since 1970"
    plain: dict[Any, tuple[Check, str]] = {
        int: (lambda raw: type(raw) is int, "a whole number"),
        float: (_is_number, "a finite number"),
        bool: (lambda raw: raw in (0, 1) and type(raw) is int, "0 or 1"),
        str: (lambda raw: type(raw) is str, "text"),
    }
    # Words of a vocabulary are texts: those of a later one are met, too.
    hint = str if typing.get_origin(hint) is typing.Literal else hint
    if hint in plain:
        check, wanted = plain[hint]
        return check, None, wanted
    return lambda raw: type(raw) is str, lambda value: _is_of(value, hint), "JSON of the right form"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_of(value: Any, hint: Any) -> bool:
    """Whether JSON data is what a hint says: lists and objects of plain values."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return True
    if hint in (int, str, bool, type(None)):
        return type(value) is hint
    if hint is float:
        return _is_number(value)
    if origin in (types.UnionType, typing.Union):
        return any(_is_of(value, one) for one in inner)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, dict) and all(_is_of(one, inner[1]) for one in value.values())
    return isinstance(value, list) and all(_is_of(one, inner[0]) for one in value)


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
