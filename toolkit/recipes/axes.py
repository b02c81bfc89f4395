"""Fields of a recipe from the fields of requests: an axis takes one value or a list of them."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from toolkit.request import Request, RequestField

T = TypeVar("T")


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _one_or_many_schema(schema: dict[str, Any]) -> None:
    """Editors must accept a single value where a list is meant."""
    many = {key: schema.pop(key) for key in ("type", "items", "minItems", "uniqueItems") if key in schema}
    schema["anyOf"] = [many["items"], many]


# One value or a list of them, never an empty list.
Axis = Annotated[
    list[T], BeforeValidator(_as_list), Field(min_length=1, json_schema_extra=_one_or_many_schema)
]


class Section(BaseModel):
    """Base of everything in a recipe: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Axes(Section):
    """Base of what has axes; one that is left out is None, one that is null has null as its only value."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_a_value(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        nulls = {
            name: [None]
            for name, field in cls.model_fields.items()
            if name in data and data[name] is None and _Nullable in field.metadata
        }
        return {**data, **nulls}


class _Nullable:
    """Marks an axis on which null is a value: the flag that is not given."""


def axes(request: type[Request]) -> list[RequestField]:
    """The fields of a request that are axes."""
    return [field for field in request.options() if field.option.recipe == "axis"]


def settings(request: type[Request]) -> list[RequestField]:
    """The fields of a request that hold for all combinations."""
    return [field for field in request.options() if field.option.recipe == "setting"]


def optional_axes(request: type[Request]) -> dict[str, Any]:
    """Axes for an include or exclude, as pydantic's create_model takes them."""
    return {field.name: _definition(field, _axis(field) | None, None) for field in axes(request)}


def all_fields(request: type[Request]) -> dict[str, Any]:
    """Axes and settings with the request's defaults, as pydantic's create_model takes them."""
    fields = {field.name: _definition(field, _axis(field), [field.default]) for field in axes(request)}
    for field in settings(request):
        described = Field(field.default, description=field.option.recipe_help or field.option.help)
        fields[field.name] = (field.type, described)
    return fields


def _axis(field: RequestField) -> Any:
    kind: Any = Axis
    return kind[field.type]


def _definition(field: RequestField, kind: Any, default: Any) -> Any:
    described = Field(default, description=field.option.recipe_help or field.option.help)
    return (Annotated[kind, _Nullable] if _takes_none(field.type) else kind, described)


def _takes_none(kind: Any) -> bool:
    try:
        TypeAdapter(kind).validate_python(None)
    except ValidationError:
        return False
    return True
