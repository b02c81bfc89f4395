"""The recipe, schema slm-recipe/1: what to convert, what to profile, and within which limits.

Fields that take one value or a list are axes: the recipe stands for every combination of their values.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from toolkit.recipes.presets import CONVERT_PRESETS, PROFILE_PRESETS

SCHEMA = "slm-recipe/1"
T = TypeVar("T")


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


def _as_model(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


def _one_or_many_schema(schema: dict[str, Any]) -> None:
    """Editors must accept a single value where a list is meant."""
    many = {key: schema.pop(key) for key in ("type", "items", "minItems", "uniqueItems") if key in schema}
    schema["anyOf"] = [many["items"], many]


# One value or a list of them, never an empty list.
Axis = Annotated[
    list[T], BeforeValidator(_as_list), Field(min_length=1, json_schema_extra=_one_or_many_schema)
]
BackendName = Literal["onnxruntime", "executorch"]
Text = Annotated[str, Field(min_length=1, strict=True)]
Count = Annotated[int, Field(ge=1, le=10_000_000, strict=True)]
CountOrZero = Annotated[int, Field(ge=0, le=10_000_000, strict=True)]
Flag = Annotated[bool, Field(strict=True)]


class Section(BaseModel):
    """Base of everything in a recipe: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(Section):
    """A model: a hub id, a folder, a .gguf file, or random:NAME; a plain string stands for its id."""

    id: Text = Field(description="Hub id, folder, .gguf file, random:NAME or random:config.json.")
    revision: Text | None = Field(None, description="Commit, branch or tag of a hub repository.")


# Axes on which null is a value: the flag that is not given.
_NULLABLE = ("group_size", "algorithm", "symmetric", "embedding", "lm_head", "context", "affinity")


class Axes(Section):
    """Base of what has axes; one that is left out is None, one that is null has null as its only value."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_a_value(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        nulls = {name: [None] for name in _NULLABLE if name in data and data[name] is None}
        return {**data, **nulls}


class ConvertAxes(Axes):
    """What tells two conversions of one recipe apart."""

    model: Axis[Annotated[Model, BeforeValidator(_as_model)]] | None = Field(None, description="Models.")
    backend: Axis[BackendName] | None = Field(None, description="Engines to convert for.")
    quant: Axis[Text] | None = Field(None, description="Schemes, quantization presets, or source.")
    group_size: Axis[CountOrZero | None] | None = Field(
        None, description="16 to 256, 0 for one scale per output channel, null for the default."
    )
    algorithm: Axis[Text | None] | None = Field(None, description="rtn, hqq ...; null for the default.")
    symmetric: Axis[Flag | None] | None = Field(None, description="false stores a zero point per group.")
    embedding: Axis[Text | None] | None = Field(None, description="Scheme of the token embedding.")
    lm_head: Axis[Text | None] | None = Field(None, description="Scheme of the output projection.")
    context: Axis[Count | None] | None = Field(None, description="Tokens of prompt and answer together.")


class ProfileAxes(Axes):
    """What tells two profile runs of one artifact apart."""

    device: Axis[Text] | None = Field(
        None, description="local, virtual, virtual:N, phones (all attached), or a serial."
    )
    prompt_tokens: Axis[Count] | None = Field(None, description="Tokens prefilled (pp).")
    generate_tokens: Axis[Count] | None = Field(None, description="Tokens generated (tg).")
    depth: Axis[CountOrZero] | None = Field(None, description="Tokens in the KV cache before the prefill.")
    threads: Axis[CountOrZero] | None = Field(None, description="Engine threads; 0 lets the runner choose.")
    affinity: Axis[Text | None] | None = Field(None, description="CPUs the runner may use, like '0,2,4-7'.")
    prefill_chunk: Axis[CountOrZero] | None = Field(None, description="Prompt tokens per prefill call.")


class ProfileMatch(ConvertAxes, ProfileAxes):
    """A set of profile runs, by what was converted and by how it is run."""


class Convert(ConvertAxes):
    """What to convert."""

    model: Axis[Annotated[Model, BeforeValidator(_as_model)]] = Field(description="Models.")
    backend: Axis[BackendName] = ["onnxruntime"]
    quant: Axis[Text] = ["8da4w"]
    group_size: Axis[CountOrZero | None] = [None]
    algorithm: Axis[Text | None] = [None]
    symmetric: Axis[Flag | None] = [None]
    embedding: Axis[Text | None] = [None]
    lm_head: Axis[Text | None] = [None]
    context: Axis[Count | None] = [None]
    preset: Literal["phone", "schemes", "four-bit-sweep"] | None = Field(
        None, description="Defaults for the fields that are not given."
    )
    include: list[ConvertAxes] = Field(
        [], description="More combinations; what is left out is the first value."
    )
    exclude: list[ConvertAxes] = Field([], description="Combinations to leave out.")
    logits: Literal["last", "all"] = Field("last", description="all is for evaluation.")
    opset: Count | None = Field(None, description="ONNX operator set.")
    parity_check: Flag = Field(True, description="Fail when the artifact disagrees with transformers.")
    offline: Flag = Field(False, description="Use caches only.")
    trust_remote_code: Flag = Field(
        False, description="Allow the model's own Python code and pickle weights."
    )

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, data: Any) -> Any:
        return _with_preset(data, CONVERT_PRESETS)


class Profile(ProfileAxes):
    """How to profile everything that was converted."""

    device: Axis[Text] = ["local"]
    prompt_tokens: Axis[Count] = [512]
    generate_tokens: Axis[Count] = [128]
    depth: Axis[CountOrZero] = [0]
    threads: Axis[CountOrZero] = [0]
    affinity: Axis[Text | None] = [None]
    prefill_chunk: Axis[CountOrZero] = [0]
    preset: Literal["standard", "smoke", "survey", "long-context"] | None = Field(
        None, description="Defaults for the fields that are not given."
    )
    include: list[ProfileMatch] = Field([], description="More runs; what is left out is the first value.")
    exclude: list[ProfileMatch] = Field([], description="Runs to leave out.")
    repetitions: Count = Field(5, description="Measured repetitions.")
    warmup: CountOrZero = Field(1, description="Repetitions before them that do not count.")
    rounds: Annotated[int, Field(ge=1, le=1000, strict=True)] = Field(
        1, description="Independent runs of each combination; raising it adds runs."
    )
    overlap: Flag = Field(
        False,
        description="Let conversions run on this machine while it, or a virtual phone on it, is measured.",
    )

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, data: Any) -> Any:
        return _with_preset(data, PROFILE_PRESETS)


class Limits(Section):
    """What a step may take."""

    cpus: Count = Field(1, description="CPUs, and torch threads, of one conversion.")
    memory_gb: Annotated[float, Field(gt=0, le=65536, allow_inf_nan=False, strict=True)] | None = Field(
        None, description="Memory budget of one conversion; estimated by default."
    )
    retries: Annotated[int, Field(ge=0, le=20, strict=True)] = Field(
        1, description="More attempts after a crash or a lost device; an error that repeats itself gets none."
    )
    timeout_minutes: Annotated[float, Field(gt=0, le=100_000, allow_inf_nan=False, strict=True)] | None = (
        Field(None, description="Longest time for one step.")
    )


class Recipe(Section):
    """A recipe file."""

    schema_: Literal["slm-recipe/1"] = Field(alias="schema")
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}$", strict=True)] = Field(
        description="Small letters, digits, dots and dashes; names the folder of results."
    )
    description: str = ""
    convert: Convert
    profile: Profile | None = None
    report: list[Text] = Field([], description="Files to write at the end: .html, .md or .png.")
    limits: Limits = Limits()

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)

    @model_validator(mode="before")
    @classmethod
    def _report_as_list(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("report"), str):
            return {**data, "report": [data["report"]]}
        return data


def json_schema() -> dict[str, Any]:
    """JSON Schema for editors."""
    schema = Recipe.model_json_schema(by_alias=True)
    # A model may be written as its id alone.
    models = schema["$defs"]
    models["Model"] = {"anyOf": [{"type": "string", "minLength": 1}, models["Model"]]}
    # A report may be written as a single file.
    report = schema["properties"]["report"]
    many = {key: report.pop(key) for key in ("type", "items")}
    report["anyOf"] = [many["items"], many]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _with_preset(data: Any, presets: Any) -> Any:
    if not isinstance(data, dict) or not isinstance(data.get("preset"), str):
        return data
    return {**presets.get(data["preset"], {}), **data}
