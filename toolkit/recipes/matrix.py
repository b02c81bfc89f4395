"""From axes to combinations: every conversion and every profile run that a recipe stands for."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from toolkit.compress.schemes import SCHEMES
from toolkit.recipes.schema import Convert, ConvertAxes, Model, Profile, ProfileAxes, ProfileMatch, Section

BackendName = Literal["onnxruntime", "executorch"]


@dataclass(frozen=True)
class Conversion:
    """One conversion, by the flags of `slm convert`."""

    model: Model
    backend: BackendName
    quant: str
    group_size: int | None
    algorithm: str | None
    symmetric: bool | None
    embedding: str | None
    lm_head: str | None
    context: int | None

    @property
    def label(self) -> str:
        """A short name, unique within a recipe for all that differs from the defaults."""
        parts = [self.model.id, self.backend, self.quant]
        if self.group_size is not None:
            parts.append(f"g{self.group_size}" if self.group_size else "channel")
        parts += [text for text in (self.algorithm,) if text]
        if self.symmetric is not None:
            parts.append("symmetric" if self.symmetric else "asymmetric")
        parts += [f"embedding={self.embedding}"] if self.embedding else []
        parts += [f"lm_head={self.lm_head}"] if self.lm_head else []
        parts += [f"ctx{self.context}"] if self.context else []
        return " ".join(parts)


@dataclass(frozen=True)
class ProfileRun:
    """One profile run of one conversion; ``device`` is as the recipe has it."""

    conversion: Conversion
    device: str
    prompt_tokens: int
    generate_tokens: int
    depth: int
    threads: int
    affinity: str | None
    prefill_chunk: int
    round: int = 1

    @property
    def label(self) -> str:
        """A short name of the run without its conversion."""
        again = f" round {self.round}" if self.round > 1 else ""
        depth = f"@{self.depth}" if self.depth else ""
        threads = f" t{self.threads}" if self.threads else ""
        affinity = f" cpus {self.affinity}" if self.affinity else ""
        chunk = f" chunk {self.prefill_chunk}" if self.prefill_chunk else ""
        work = f"pp{self.prompt_tokens} tg{self.generate_tokens}{depth}"
        return f"{work}{threads}{affinity}{chunk} on {self.device}{again}"


CONVERT_AXES = tuple(ConvertAxes.model_fields)
PROFILE_AXES = tuple(ProfileAxes.model_fields)


def conversions(convert: Convert) -> list[Conversion]:
    """Every conversion, in the order of the axes, each once."""
    chosen = _combinations(convert, CONVERT_AXES, convert.include)
    kept = (values for values in chosen if not any(matches(values, out) for out in convert.exclude))
    return list(dict.fromkeys(_canonical(values) for values in kept))


def profile_runs(profile: Profile, converted: Sequence[Conversion]) -> list[ProfileRun]:
    """Every run of every conversion, in that order, each once."""
    runs: dict[ProfileRun, None] = {}
    for conversion in converted:
        of_conversion = vars(conversion)
        included = [one for one in profile.include if matches(of_conversion, one, CONVERT_AXES)]
        for values in _combinations(profile, PROFILE_AXES, included):
            everything = {**of_conversion, **values}
            if not any(matches(everything, out) for out in profile.exclude):
                for number in range(1, profile.rounds + 1):
                    runs[ProfileRun(conversion=conversion, round=number, **values)] = None
    return list(runs)


def matches(values: Mapping[str, Any], wanted: Section, axes: Iterable[str] | None = None) -> bool:
    """Whether a combination has one of the wanted values on every axis that is named."""
    named = {axis: getattr(wanted, axis) for axis in (axes or type(wanted).model_fields)}
    return all(values[axis] in allowed for axis, allowed in named.items() if allowed is not None)


def _combinations(
    section: Section, axes: Sequence[str], included: Sequence[ConvertAxes | ProfileMatch]
) -> list[dict[str, Any]]:
    """The product of the axes, then that of each include, whose other axes stay at their first value."""
    product = [getattr(section, axis) for axis in axes]
    chosen = [dict(zip(axes, values, strict=True)) for values in itertools.product(*product)]
    for more in included:
        own = [getattr(more, axis) or getattr(section, axis)[:1] for axis in axes]
        chosen += [dict(zip(axes, values, strict=True)) for values in itertools.product(*own)]
    return chosen


def _canonical(values: Mapping[str, Any]) -> Conversion:
    """Schemes that keep floats have no groups: with them, different groups are the same conversion."""
    scheme = values["quant"]
    all_float = scheme in SCHEMES and not SCHEMES.get(scheme).quantized
    if all_float and values["embedding"] is None and values["lm_head"] is None:
        return Conversion(**{**values, "group_size": None, "algorithm": None, "symmetric": None})
    return Conversion(**values)
