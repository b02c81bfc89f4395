"""The recipe, schema slm-recipe/1: what to convert, what to profile, and within which limits.

Fields that take one value or a list are axes: the recipe stands for every combination of their values.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, create_model, model_validator

from toolkit.errors import UsageError
from toolkit.export.request import ConvertRequest
from toolkit.profiling.request import ProfileRequest
from toolkit.recipes.axes import Axes, Axis, Section, all_fields, optional_axes
from toolkit.recipes.presets import CONVERT_PRESETS, PROFILE_PRESETS
from toolkit.request import Count, Flag, Text
from toolkit.store.tags import check_tag

SCHEMA = "slm-recipe/1"


_DURATION = re.compile(r"^([0-9]+(?:\.[0-9]+)?)([smhd])$")
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def _as_duration(value: str) -> str:
    if not _DURATION.match(value):
        raise ValueError("should be a time like 20h, 90m or 2d")
    return value


def _seconds(duration: str) -> float:
    match = _DURATION.match(duration)
    assert match is not None, "it was validated"
    return float(match[1]) * _UNIT_S[match[2]]


def _as_tag(value: str) -> str:
    try:
        return check_tag(value)
    except UsageError as error:
        raise ValueError(f"should be a tag: {error.next_step}") from None


def _as_model(value: Any) -> Any:
    return {"id": value} if isinstance(value, str) else value


class Model(Section):
    """A model: a hub id, a folder, a .gguf file, or random:NAME; a plain string stands for its id."""

    id: Text = Field(description="Hub id, folder, .gguf file, random:NAME or random:config.json.")
    revision: Text | None = Field(None, description="Commit, branch or tag of a hub repository.")

    @property
    def label(self) -> str:
        """A short name."""
        return self.id if self.revision is None else f"{self.id}@{self.revision}"


Models = Axis[Annotated[Model, BeforeValidator(_as_model)]]


class ConvertAxes(Axes):
    """What tells two conversions of one recipe apart: the model, and the request's axes."""

    model: Models | None = Field(None, description="Models.")


class ProfileAxes(Axes):
    """What tells two profile runs of one artifact apart: the device, and the request's axes."""

    device: Axis[Text] | None = Field(
        None, description="local, virtual, virtual:N, phones (all attached), or a serial."
    )


class ConvertSection(ConvertAxes):
    """What to convert."""

    request_type: ClassVar[type[ConvertRequest]] = ConvertRequest
    match_type: ClassVar[type[ConvertAxes]]

    model: Models = Field(description="Models.")
    preset: Literal["phone", "schemes", "four-bit-sweep"] | None = Field(
        None, description="Defaults for the fields that are not given."
    )
    include: list[ConvertAxes] = Field(
        [], description="More combinations; what is left out is the first value."
    )
    exclude: list[ConvertAxes] = Field([], description="Combinations to leave out.")

    @model_validator(mode="before")
    @classmethod
    def _apply_preset(cls, data: Any) -> Any:
        return _with_preset(data, CONVERT_PRESETS)


class ProfileSection(ProfileAxes):
    """How to profile everything that was converted."""

    request_type: ClassVar[type[ProfileRequest]] = ProfileRequest
    match_type: ClassVar[type[Axes]]

    device: Axis[Text] = ["local"]
    preset: Literal["standard", "smoke", "survey", "long-context"] | None = Field(
        None, description="Defaults for the fields that are not given."
    )
    include: list[Axes] = Field([], description="More runs; what is left out is the first value.")
    exclude: list[Axes] = Field([], description="Runs to leave out.")
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


def convert_section(request: type[ConvertRequest]) -> type[ConvertSection]:
    """The section `convert:` whose fields are those of a request."""
    match = _model("ConvertAxes", __base__=ConvertAxes, __doc__=ConvertAxes.__doc__, **optional_axes(request))
    section = _model(
        "Convert",
        __base__=ConvertSection,
        __doc__=ConvertSection.__doc__,
        **all_fields(request),
        include=_many(ConvertSection, "include", match),
        exclude=_many(ConvertSection, "exclude", match),
    )
    section.request_type, section.match_type = request, match
    made: type[ConvertSection] = section
    return made


def profile_section(request: type[ProfileRequest], converted: type[ConvertRequest]) -> type[ProfileSection]:
    """The section `profile:` whose fields are those of a request; its excludes may name conversions."""
    match = _model(
        "ProfileMatch",
        __base__=(ConvertAxes, ProfileAxes),
        __doc__="A set of profile runs, by what was converted and by how it is run.",
        **optional_axes(converted),
        **optional_axes(request),
    )
    section = _model(
        "Profile",
        __base__=ProfileSection,
        __doc__=ProfileSection.__doc__,
        **all_fields(request),
        include=_many(ProfileSection, "include", match),
        exclude=_many(ProfileSection, "exclude", match),
    )
    section.request_type, section.match_type = request, match
    made: type[ProfileSection] = section
    return made


def _model(name: str, **definition: Any) -> Any:
    return create_model(name, **definition)


def _many(section: type[Section], name: str, match: type[Axes]) -> Any:
    return list[match], Field([], description=section.model_fields[name].description)  # type: ignore[valid-type]


if TYPE_CHECKING:
    # What every section has, whatever its request's fields.
    Convert = ConvertSection
    Profile = ProfileSection
else:
    Convert = convert_section(ConvertRequest)
    Profile = profile_section(ProfileRequest, ConvertRequest)


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


class Schedule(Section):
    """When what was measured is measured again."""

    fresh: Annotated[str, AfterValidator(_as_duration)] | None = Field(
        None,
        description="How long a measurement counts as done, like 20h, 90m or 2d; for ever by default.",
        json_schema_extra={"pattern": _DURATION.pattern},
    )

    @property
    def fresh_s(self) -> float | None:
        """The same in seconds."""
        return None if self.fresh is None else _seconds(self.fresh)


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
    tag: Axis[Annotated[str, AfterValidator(_as_tag)]] = Field([], description="Tags for its runs.")
    baseline: Annotated[str, AfterValidator(_as_tag)] | None = Field(
        None, description="Tag for the runs of its first batch that is done as a whole."
    )
    schedule: Schedule = Schedule()
    limits: Limits = Limits()

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=False)

    @model_validator(mode="before")
    @classmethod
    def _report_as_list(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("report"), str):
            return {**data, "report": [data["report"]]}
        return data


@dataclass(frozen=True)
class LoadedRecipe:
    """A valid recipe and the file that it came from.

    Attributes:
        path: the file; relative paths in the recipe start from its folder.
        sha256: of the file's content.
    """

    recipe: Recipe
    path: Path
    sha256: str

    @property
    def folder(self) -> Path:
        """Where relative paths of the recipe start from."""
        return self.path.parent


def json_schema(recipe: type[Recipe] = Recipe) -> dict[str, Any]:
    """JSON Schema for editors."""
    schema = recipe.model_json_schema(by_alias=True)
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
