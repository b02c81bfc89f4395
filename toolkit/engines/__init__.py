"""The engines that models are converted for and run in; nothing here imports one.

Another package adds an engine with an entry point of the group ``slm.engines`` that names its
:class:`toolkit.engines.spec.EngineSpec`.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError

from toolkit.engines.spec import EngineSpec
from toolkit.errors import UsageError
from toolkit.registry import Registry


def _complaint(name: str, entry: object) -> str | None:
    """What is wrong with an entry that a package brings."""
    if not isinstance(entry, EngineSpec):
        return f"is a {type(entry).__name__} and no EngineSpec"
    return None if entry.name == name else f"calls itself {entry.name!r}"


ENGINES: Registry[EngineSpec] = Registry(
    "engine", UsageError, entry_points="slm.engines", complaint=_complaint
)
ENGINES.register("onnxruntime", "toolkit.engines.onnxruntime:ONNXRUNTIME")
ENGINES.register("executorch", "toolkit.engines.executorch:EXECUTORCH")

DEFAULT_ENGINE = "onnxruntime"


def _registered(name: str) -> str:
    if name not in ENGINES:
        raise PydanticKnownError("literal_error", {"expected": " or ".join(map(repr, ENGINES))})
    return name


class _ListedInSchema:
    """Lets a JSON schema list the engines that are registered when it is made."""

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema: dict[str, Any] = handler(core)
        return {**schema, "enum": list(ENGINES)}


# The field of a model that holds a registered engine's name.
EngineName = Annotated[str, AfterValidator(_registered), _ListedInSchema()]


def usable_engine(name: str) -> EngineSpec | None:
    """An engine, or None when no such engine is registered or its package cannot be imported."""
    try:
        return ENGINES.get(name)
    except UsageError:
        return None


def usable_engines() -> list[EngineSpec]:
    """All but those whose package cannot be imported: who asks for one of them by name is told why."""
    return [engine for name in ENGINES if (engine := usable_engine(name)) is not None]


def short_name(name: str) -> str:
    """An engine's name in tables; results may come from engines that are not registered here."""
    engine = usable_engine(name)
    return name if engine is None else engine.short_name


def converting_extras() -> tuple[str, ...]:
    """Extras of the toolkit that converting for some engine needs."""
    return tuple(dict.fromkeys(extra for engine in usable_engines() for extra in engine.converting_extras))


def set_environment() -> None:
    """Set the variables that engines want set before they are imported, unless they are."""
    for engine in usable_engines():
        for variable, value in engine.environment.items():
            os.environ.setdefault(variable, value)
