"""The engines that models are converted for and run in; nothing here imports one.

Another package adds an engine with an entry point of the group ``slm.engines`` that names its
:class:`toolkit.engines.spec.EngineSpec`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError

from toolkit.engines.spec import EngineSpec
from toolkit.errors import UsageError
from toolkit.registry import Registry

ENGINES: Registry[EngineSpec] = Registry("engine", UsageError, entry_points="slm.engines")
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


def short_name(engine: str) -> str:
    """An engine's name in tables; results may come from engines that are not registered here."""
    return ENGINES.get(engine).short_name if engine in ENGINES else engine


def converting_extras() -> tuple[str, ...]:
    """Extras of the toolkit that converting for some engine needs."""
    return tuple(dict.fromkeys(extra for engine in ENGINES.values() for extra in engine.converting_extras))
