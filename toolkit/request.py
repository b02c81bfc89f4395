"""A request: one frozen value, whose fields say once what an option is.

Command-line flags, a recipe's fields, a step's key and the manifest's record all derive from the fields and
from the :class:`Option` of each. Whoever adds an option writes one field.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from toolkit.errors import UsageError
from toolkit.files import sha256_of
from toolkit.registry import did_you_mean

Text = Annotated[str, Field(min_length=1, strict=True)]
# What a runner and a database hold.
_INT64_END = 2**63
Count = Annotated[int, Field(ge=1, lt=_INT64_END, strict=True)]
CountOrZero = Annotated[int, Field(ge=0, lt=_INT64_END, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


@dataclass(frozen=True)
class Option:
    """What there is to know about a field of a request beside its type and default.

    Attributes:
        help: one line for `--help` and, without `recipe_help`, for the recipe's schema.
        flags: as typer takes them; the field's name by default, None for no flag.
        argument: an argument of the command in place of an option.
        written: the type in which the command line takes it, where that is not the field's own.
        recipe: an "axis" takes one value or a list and multiplies the steps; a "setting" holds for all of
            them; "elsewhere": a recipe says it in another place, or not at all.
        recipe_help: for the recipe's schema.
        key: whether another value makes another output, so that a step must be done again.
        recorded: whether the artifact's manifest keeps it.
        condition: whether it may move a figure, so that runs that differ in it are not compared.
        label: how a step's title shows a value; its field's name and the value by default.
        always_shown: in titles, at its default as well.
        group: what a long `--help` shows it under. Fields of a nested request are in that of the field which
            holds it.
    """

    help: str
    flags: tuple[str, ...] | None = ()
    argument: bool = False
    written: type | None = None
    recipe: Literal["axis", "setting", "elsewhere"] = "setting"
    recipe_help: str = ""
    key: bool = True
    recorded: bool = True
    condition: bool = True
    label: Callable[[Any], str] | None = None
    always_shown: bool = False
    group: str | None = None


@dataclass(frozen=True)
class RequestField:
    """A field of a request with its option.

    Attributes:
        type: annotation with everything that validates it.
        default: None is a value; `required` tells whether there is one.
    """

    name: str
    type: Any
    option: Option
    default: Any
    required: bool

    @property
    def value_type(self) -> Any:
        """The type of a value that is given: without None and without constraints."""
        return plain_type(self.type)

    @property
    def limits(self) -> dict[str, Any]:
        """The smallest ("ge") and largest ("le") value."""
        found = {}
        for one in _constraints(self.type):
            for limit in ("ge", "le"):
                if getattr(one, limit, None) is not None:
                    found[limit] = getattr(one, limit)
        return found

    @property
    def nested(self) -> type[Request] | None:
        """The request that this field holds, when it holds one."""
        value_type = self.value_type
        return value_type if isinstance(value_type, type) and issubclass(value_type, Request) else None


class Request(BaseModel):
    """Base of requests: immutable, unknown fields refused; each field carries an :class:`Option`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False, allow_inf_nan=False)

    def __init__(self, **values: Any) -> None:
        """A request from a caller's values.

        Raises:
            UsageError: a value that cannot be meant.
        """
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise type(self)._refusal(error) from None

    # pydantic's mark of a constructor that validation need not call: recipes tell places in their file.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def options(cls) -> Iterator[RequestField]:
        """The fields that have an option, in order."""
        for name, info in cls.model_fields.items():
            rest = [one for one in info.metadata if not isinstance(one, Option)]
            for option in info.metadata:
                if isinstance(option, Option):
                    kind = Annotated[info.annotation, *rest] if rest else info.annotation
                    default = None if info.is_required() else info.get_default(call_default_factory=True)
                    yield RequestField(name, kind, option, default, info.is_required())

    @classmethod
    def of(cls, **values: Any) -> Self:
        """As the constructor, for values whose types are known when it runs only."""
        return cls(**values)

    @classmethod
    def _refusal(cls, error: ValidationError) -> UsageError:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "literal_error" and isinstance(first["input"], str):
            choices = re.findall(r"'([^']*)'", first["ctx"]["expected"])
            return UsageError(
                f"there is no {first['input']!r}",
                subject=where or None,
                next_step=f"{did_you_mean(first['input'], choices)}Available: {', '.join(choices)}.",
            )
        field = cls.model_fields.get(where)
        or_none = "" if field is not None and field.is_required() else ", or leave it out"
        return UsageError(
            first["msg"].removeprefix("Value error, "),
            subject=where or None,
            next_step=f"Give {where or 'it'} another value{or_none}.",
        )

    def identity(self) -> dict[str, Any]:
        """JSON data that differs when the output may differ; a file counts by its content.

        Raises:
            UsageError: a file that cannot be read.
        """
        return {
            one.name: _identity(getattr(self, one.name)) for one in type(self).options() if one.option.key
        }

    def recorded(self) -> dict[str, Any]:
        """JSON data for a manifest: what was asked, defaults included; a file by its name alone."""
        return {
            one.name: _recorded(getattr(self, one.name))
            for one in type(self).options()
            if one.option.recorded
        }

    def label(self) -> str:
        """The values that are not the default, in short, for titles; empty when there are none."""
        parts = []
        for one in type(self).options():
            value = getattr(self, one.name)
            if one.option.recipe == "axis" and (one.option.always_shown or value != one.default):
                parts.append(one.option.label(value) if one.option.label else f"{one.name}={value}")
        return " ".join(parts)


def plain_type(kind: Any) -> Any:
    """A type without `Annotated` and without None."""
    if get_origin(kind) is Annotated:
        return plain_type(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        rest = [one for one in get_args(kind) if one is not type(None)]
        if len(rest) == 1:
            return plain_type(rest[0])
    return kind


def _constraints(kind: Any) -> Iterator[Any]:
    if get_origin(kind) is Annotated:
        inner, *metadata = get_args(kind)
        yield from _constraints(inner)
        for one in metadata:
            yield from getattr(one, "metadata", [one])
    elif get_origin(kind) in (Union, types.UnionType):
        for one in get_args(kind):
            yield from _constraints(one)


def _identity(value: Any) -> Any:
    if isinstance(value, Path):
        try:
            return sha256_of(value)
        except OSError as error:
            # Never as if there were no file: what was made without one would count as made with it.
            raise UsageError(
                f"cannot be read: {error.strerror}",
                subject=str(value),
                next_step="Give a file that is there and may be read.",
            ) from None
    return _json(value)


def _recorded(value: Any) -> Any:
    return value.name if isinstance(value, Path) else _json(value)


def _json(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return list(value) if isinstance(value, tuple) else value
