"""The filter language of ``--where``: parsed here, sent to the database as bound values, never as text.

::

    filter      = all { "or" all }
    all         = one { "and" one }
    one         = "not" one | "(" filter ")" | column [ test ]
    test        = ("=" | "!=" | "<" | "<=" | ">" | ">=") value
                | ["not"] "in" "(" value { "," value } ")"
                | ["not"] "contains" text                      case does not matter
                | "is" ["not"] "null"
    value       = number | text in quotes | true | false

A column without a test must be a yes/no one: ``not emulated``. Times may be written as dates:
``created >= '2026-11-01'``, in UTC. A date is the whole day, a time the whole hour, minute or second
that it names: ``created = '2026-11-01'`` is any time of that day. What is not known passes ``is null``
and ``!=`` only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from toolkit.errors import BadFilter
from toolkit.registry import did_you_mean
from toolkit.store import tables
from toolkit.store.columns import Column, find_column
from toolkit.store.rows import Status

Filter = sa.ColumnElement[bool]

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[+-]?(?:\d[\d_]*)(?:\.\d*)?(?:[eE][+-]?\d+)?(?![\w.]))"
    r"|(?P<text>'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")"
    r"|(?P<word>[A-Za-z_]\w*)"
    r"|(?P<symbol><=|>=|!=|<>|==|=|<|>|\(|\)|,))"
)

_COMPARE: dict[str, Callable[[Any, Any], Filter]] = {
    "=": lambda column, value: column == value,
    "==": lambda column, value: column == value,
    # Unlike SQL's: what is not known is not equal either.
    "!=": lambda column, value: column.is_distinct_from(value),
    "<>": lambda column, value: column.is_distinct_from(value),
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
}
# Days, hours and so on as ISO 8601 has them, with or without its dashes and colons.
_TIME = re.compile(
    r"\d{4}-?\d{2}-?\d{2}"
    r"(?:[T ](?P<hour>\d{2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?P<fraction>[.,]\d+)?)?)?"
    r"(?:Z|[+-]\d{2}:?\d{2}(?::?\d{2})?)?)?",
    re.IGNORECASE,
)
_NS = {
    "day": 86_400_000_000_000,
    "hour": 3_600_000_000_000,
    "minute": 60_000_000_000,
    "second": 1_000_000_000,
    "fraction": 1000,
}
_UNIX_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_ORDERED = frozenset({"<", "<=", ">", ">="})
_KEYWORDS = frozenset({"and", "or", "not", "in", "is", "null", "contains", "true", "false"})
# Deeper nesting is nobody's question; it would end in a RecursionError.
_MAX_DEPTH = 50


@dataclass(frozen=True)
class Span:
    """The nanoseconds since 1970 that a date or time stands for, as exact as it is written.

    ``end`` is the first one behind it.
    """

    start: int
    end: int

    def compared(self, column: Any, operator: str) -> Filter:
        """A time held against it; one that is not known is unlike it, as elsewhere."""
        if operator in ("=", "==", "!=", "<>"):
            inside = sa.and_(column >= self.start, column < self.end)
            return inside if operator in ("=", "==") else sa.not_(sa.func.coalesce(inside, sa.false()))
        if operator in ("<", ">="):
            return _COMPARE[operator](column, self.start)
        return _COMPARE["<" if operator == "<=" else ">="](column, self.end)


Value = bool | float | int | str | Span


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


def parse_filter(text: str) -> Filter:
    """The filter as a condition over runs joined with their devices and artifacts.

    Raises:
        BadFilter: it cannot be read; says where, and what could stand there.
    """
    return _Parser(text).parse()


def of_runs(run_ids: Sequence[str]) -> Filter:
    """Exactly these runs; databases take some ten thousand at once."""
    return tables.runs.c.id.in_(run_ids)


def all_of(
    where: str | None,
    *,
    statuses: Sequence[Status] = (),
    device: str | None = None,
    model: str | None = None,
    recipe: str | None = None,
    batch: str | None = None,
    tags: Sequence[str] = (),
) -> Filter:
    """A filter and the listing's short options, all of which must hold.

    Args:
        where: a filter to read, or None for every run.
        statuses: only these; any when empty.
        device: only this device: what adb or ssh called it, its identity, or its user's name for it.
        model: only models whose name holds this text, in any case.
        recipe: only runs that this recipe made.
        batch: only runs of this batch of a recipe.
        tags: only runs that have all of these.

    Raises:
        BadFilter: ``where`` cannot be read.
    """
    conditions: list[Filter] = [sa.true()]
    if where is not None:
        conditions.append(parse_filter(where))
    if statuses:
        conditions.append(tables.runs.c.status.in_(statuses))
    if device is not None:
        of = tables.devices.c
        conditions.append(sa.or_(of.serial == device, of.identity == device, of.name == device))
    if model is not None:
        conditions.append(tables.artifacts.c.model.icontains(model, autoescape=True))
    if recipe is not None:
        conditions.append(tables.runs.c.recipe == recipe)
    if batch is not None:
        conditions.append(tables.runs.c.batch == batch)
    tagged = tables.tags.c
    conditions += [
        tables.runs.c.id.in_(sa.select(tagged.run_id).where(tagged.tag == tag)) for tag in dict.fromkeys(tags)
    ]
    return sa.and_(*conditions)


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            raise _wrong(text, start, f"cannot be read from {text[start : start + 10]!r} on")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match.group(kind), match.start(kind)))
        position = match.end()
    return [*found, _Token("end", "", len(text))]


def _wrong(text: str, position: int, what: str, next_step: str | None = None) -> BadFilter:
    return BadFilter(
        f"{what} (character {position + 1})",
        subject=f"filter {text!r}",
        next_step=next_step or "For example: \"decode > 50 and scheme = '8da4w'\"",
    )


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def parse(self) -> Filter:
        condition = self._any_of()
        if self._next.kind != "end":
            raise self._unexpected("'and', 'or' or the end")
        return condition

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _word(self, *words: str) -> bool:
        """Take the next token if it is one of these keywords or symbols."""
        if self._next.kind in ("word", "symbol") and self._next.text.lower() in words:
            self._at += 1
            return True
        return False

    def _expect(self, symbol: str) -> None:
        if not self._word(symbol):
            raise self._unexpected(repr(symbol))

    def _unexpected(self, wanted: str) -> BadFilter:
        got = "ends" if self._next.kind == "end" else f"has {self._next.text!r}"
        return _wrong(self._text, self._next.position, f"{got} where {wanted} should be")

    def _any_of(self) -> Filter:
        conditions = [self._all_of()]
        while self._word("or"):
            conditions.append(self._all_of())
        return sa.or_(*conditions)

    def _all_of(self) -> Filter:
        conditions = [self._one()]
        while self._word("and"):
            conditions.append(self._one())
        return sa.and_(*conditions)

    def _one(self) -> Filter:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _wrong(self._text, self._next.position, f"is nested deeper than {_MAX_DEPTH} levels")
        try:
            if self._word("not"):
                return sa.not_(self._one())
            if self._word("("):
                inside = self._any_of()
                self._expect(")")
                return inside.self_group()
            return self._test()
        finally:
            self._depth -= 1

    def _test(self) -> Filter:
        column = self._column()
        if self._word("is"):
            negated = self._word("not")
            self._expect("null")
            return self._applied(column, lambda expression: expression.is_(None), negated)
        negated = self._word("not")
        if self._word("in"):
            values = self._list_of(column)
            return self._applied(column, lambda expression: _one_of(expression, values), negated)
        if self._word("contains"):
            part = self._value(column, "contains")
            return self._applied(
                column, lambda expression: expression.icontains(part, autoescape=True), negated
            )
        if negated:
            raise self._unexpected("'in' or 'contains'")
        if self._next.kind == "symbol" and self._next.text in _COMPARE:
            return self._comparison(column, self._take().text)
        if column.kind == "boolean":
            return column.expression.is_(True)
        raise self._unexpected(f"a test of {column.name}, such as '='")

    def _column(self) -> Column:
        token = self._next
        if token.kind != "word" or token.text.lower() in _KEYWORDS:
            raise self._unexpected("a column")
        try:
            column = find_column(token.text)
        except BadFilter as error:
            raise _wrong(self._text, token.position, error.what, error.next_step) from None
        self._at += 1
        return column

    def _comparison(self, column: Column, operator: str) -> Filter:
        value = self._value(column, operator)
        if column.kind == "tag" and operator in ("!=", "<>"):
            # A run has several tags: "is not x" means that none of them is x.
            return self._applied(column, lambda expression: expression == value, True)
        if isinstance(value, Span):
            return self._applied(column, lambda expression: value.compared(expression, operator), False)
        return self._applied(column, lambda expression: _COMPARE[operator](expression, value), False)

    def _list_of(self, column: Column) -> list[Value]:
        self._expect("(")
        values = [self._value(column, "in")]
        while self._word(","):
            values.append(self._value(column, "in"))
        self._expect(")")
        return values

    def _value(self, column: Column, operator: str) -> Value:
        token = self._next
        value = _read_value(token)
        if value is None:
            hint = f"Put text in quotes: '{token.text}'" if token.kind == "word" else None
            raise _wrong(self._text, token.position, f"needs a value for {column.name}", hint)
        problem = _misfit(column, operator, value)
        if problem:
            raise _wrong(self._text, token.position, problem)
        if column.words and operator != "contains" and value not in column.words:
            hint = f"{did_you_mean(str(value), column.words)}Available: {', '.join(column.words)}"
            raise _wrong(self._text, token.position, f"{column.name} is never {value!r}", hint)
        self._at += 1
        if column.kind == "time" and isinstance(value, str):
            return _span(value, self._text, token.position)
        return value

    @staticmethod
    def _applied(column: Column, test: Callable[[Any], Filter], negated: bool) -> Filter:
        condition = test(column.expression)
        if column.kind == "tag":
            tagged = sa.select(tables.tags.c.run_id).where(tables.tags.c.run_id == tables.runs.c.id)
            if isinstance(condition, sa.BinaryExpression) and isinstance(condition.right, sa.Null):
                condition, negated = sa.true(), not negated
            condition = tagged.where(condition).correlate(tables.runs).exists()
        return sa.not_(condition) if negated else condition


def _read_value(token: _Token) -> Value | None:
    if token.kind == "text":
        quote = token.text[0]
        return token.text[1:-1].replace(quote * 2, quote)
    if token.kind == "number":
        digits = token.text.replace("_", "")
        return int(digits) if digits.lstrip("+-").isdigit() else float(digits)
    if token.kind == "word" and token.text.lower() in ("true", "false"):
        return token.text.lower() == "true"
    return None


def _misfit(column: Column, operator: str, value: Value) -> str | None:
    """Why a value cannot be compared with a column, or None when it can."""
    fits: dict[str, type | tuple[type, ...]] = {
        "text": str, "tag": str, "boolean": bool, "number": (int, float), "time": (int, str),
    }  # fmt: skip
    if not isinstance(value, fits[column.kind]) or (isinstance(value, bool) and column.kind != "boolean"):
        wanted = {"time": "a date in quotes", "boolean": "true or false", "number": "a number"}
        return f"{column.name} is compared with {wanted.get(column.kind, 'text in quotes')}"
    if column.kind in ("boolean", "tag") and operator in _ORDERED:
        return f"{column.name} has no order"
    if operator == "contains" and column.kind not in ("text", "tag"):
        return f"{column.name} is not text"
    if isinstance(value, str) and "\0" in value:
        return "a zero character cannot be in a text"
    if isinstance(value, int | float) and not _fits_a_database(value):
        return f"{value:g} is out of range"
    return None


def _one_of(expression: Any, values: Sequence[Value]) -> Filter:
    spans = [value for value in values if isinstance(value, Span)]
    plain = expression.in_([value for value in values if not isinstance(value, Span)])
    return sa.or_(plain, *(span.compared(expression, "=") for span in spans))


def _span(text: str, whole: str, position: int) -> Span:
    written = _TIME.fullmatch(text.strip())
    try:
        moment = datetime.fromisoformat(text.strip()) if written else None
    except ValueError:
        moment = None
    if written is None or moment is None:
        raise _wrong(
            whole, position, f"{text!r} is not a date", "Write it like '2026-11-22' or '2026-11-22T14:30'."
        )
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    start = (moment - _UNIX_BEGIN) // timedelta(microseconds=1) * 1000
    named = [name for name, part in written.groupdict().items() if part]
    end = start + _NS[named[-1] if named else "day"]
    if not _fits_a_database(start) or not _fits_a_database(end):
        raise _wrong(whole, position, f"{text!r} is out of range", "Dates are from 1678 to 2262.")
    return Span(start, end)


def _fits_a_database(value: int | float) -> bool:
    return -(2**63) <= value < 2**63
