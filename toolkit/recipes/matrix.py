"""From axes to combinations: every conversion and every profile run that a recipe stands for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toolkit.compress.algorithms import CALIBRATED_ALGORITHMS
from toolkit.compress.schemes import SCHEMES
from toolkit.export.request import ConvertRequest
from toolkit.profiling.request import ProfileRequest
from toolkit.recipes.axes import Axes, Section, axes, settings
from toolkit.recipes.schema import Convert, Model, Profile
from toolkit.request import Request


@dataclass(frozen=True)
class Conversion:
    """One conversion: a model as the recipe has it, and what is asked of it."""

    model: Model
    request: ConvertRequest

    @property
    def values(self) -> dict[str, Any]:
        """The value on each axis."""
        return {"model": self.model} | _axis_values(self.request)

    @property
    def label(self) -> str:
        """A short name, unique within a recipe for all that differs from the defaults."""
        return f"{self.model.label} {self.request.label()}"


@dataclass(frozen=True)
class ProfileRun:
    """One profile run of one conversion; ``device`` is as the recipe has it."""

    conversion: Conversion
    device: str
    request: ProfileRequest
    round: int = 1

    @property
    def values(self) -> dict[str, Any]:
        """The value on each axis, its conversion's included."""
        return self.conversion.values | {"device": self.device} | _axis_values(self.request)

    @property
    def label(self) -> str:
        """A short name of the run without its conversion."""
        again = f" round {self.round}" if self.round > 1 else ""
        return f"{self.request.label()} on {self.device}{again}"


def conversions(convert: Convert) -> list[Conversion]:
    """Every conversion, in the order of the axes, each once."""
    chosen = _combinations(convert, convert_axes(convert), convert.include)
    kept = (values for values in chosen if not any(matches(values, out) for out in convert.exclude))
    return list(dict.fromkeys(_conversion(convert, values) for values in kept))


def profile_runs(profile: Profile, converted: Sequence[Conversion]) -> list[ProfileRun]:
    """Every run of every conversion, in that order, each once."""
    runs: dict[ProfileRun, None] = {}
    for conversion in converted:
        of_conversion = conversion.values
        included = [one for one in profile.include if matches(of_conversion, one, of_conversion)]
        for values in _combinations(profile, profile_axes(profile), included):
            everything = {**of_conversion, **values}
            if not any(matches(everything, out) for out in profile.exclude):
                for number in range(1, profile.rounds + 1):
                    runs[_run(profile, conversion, values, number)] = None
    return list(runs)


def convert_axes(convert: Convert) -> tuple[str, ...]:
    """The names of the axes of conversions, in the order in which combinations are made."""
    return ("model", *(field.name for field in axes(convert.request_type)))


def profile_axes(profile: Profile) -> tuple[str, ...]:
    """The names of the axes of runs, in the order in which combinations are made."""
    return ("device", *(field.name for field in axes(profile.request_type)))


def matches(values: Mapping[str, Any], wanted: Section, axes: Iterable[str] | None = None) -> bool:
    """Whether a combination has one of the wanted values on every axis that is named."""
    named = {axis: getattr(wanted, axis) for axis in (axes or type(wanted).model_fields)}
    return all(values[axis] in allowed for axis, allowed in named.items() if allowed is not None)


def _combinations(section: Section, axes: Sequence[str], included: Sequence[Axes]) -> list[dict[str, Any]]:
    """The product of the axes, then that of each include, whose other axes stay at their first value."""
    product = [getattr(section, axis) for axis in axes]
    chosen = [dict(zip(axes, values, strict=True)) for values in itertools.product(*product)]
    for more in included:
        own = [getattr(more, axis) or getattr(section, axis)[:1] for axis in axes]
        chosen += [dict(zip(axes, values, strict=True)) for values in itertools.product(*own)]
    return chosen


def _conversion(convert: Convert, values: Mapping[str, Any]) -> Conversion:
    """The conversion that a combination stands for, without options that mean nothing to it.

    Schemes that keep floats have no groups: with them, different groups are the same conversion. Text to
    calibrate with is for the combinations whose algorithm is calibrated.
    """
    values = _settings(convert, convert.request_type) | dict(values)
    model: Model = values.pop("model")
    scheme = values["quant"]
    all_float = scheme in SCHEMES and not SCHEMES.get(scheme).quantized
    if all_float and values["embedding"] is None and values["lm_head"] is None:
        values |= dict.fromkeys(("group_size", "algorithm", "symmetric", "eight_bit"))
    if values["algorithm"] not in CALIBRATED_ALGORITHMS:
        values["calibration"] = None
    request = convert.request_type.of(model=model.id, revision=model.revision, **values)
    return Conversion(model, request)


def _run(profile: Profile, conversion: Conversion, values: Mapping[str, Any], number: int) -> ProfileRun:
    """The run that a combination stands for; beside runs in the app, those in the shell have no app state."""
    values = _settings(profile, profile.request_type) | dict(values)
    chosen = {axis: getattr(profile, axis) for axis in profile_axes(profile)}
    if values["runner"] == "shell" and "app" in chosen["runner"]:
        values["app_state"] = "activity"
    device = values.pop("device")
    return ProfileRun(conversion, device, profile.request_type.of(**values), number)


def _settings(section: Section, request: type[Request]) -> dict[str, Any]:
    return {field.name: getattr(section, field.name) for field in settings(request)}


def _axis_values(request: Request) -> dict[str, Any]:
    return {field.name: getattr(request, field.name) for field in axes(type(request))}
