"""What `slm study` is asked: which models on which devices, by which protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from toolkit.compress.presets import PRESET_NAMES
from toolkit.engines import EngineName
from toolkit.request import Count, CountOrZero, Flag, Option, Request, Text

# Fields that only some studies take.
NOT_FOR_EVERY_STUDY = ("tasks", "items", "include_path", "energy", "lengths", "depths", "trials", "minutes")

ProtocolName = Literal["survey", "survey-phones", "standard", "smoke"]


def _words(value: Any) -> Any:
    """Words of a command line: repeated, or separated by commas."""
    if isinstance(value, str):
        value = [value]
    return tuple(word.strip() for one in value or () for word in one.split(",") if word.strip())


Words = Annotated[tuple[Text, ...], BeforeValidator(_words)]


class StudyRequest(Request):
    """One study; what is not given is the study's own choice.

    Attributes:
        models: names or groups of the catalogue, built with random weights; hub ids, folders and GGUF files
            with their own.
        device: as in a recipe.
        protocol: tokens, repetitions and pauses; see :mod:`toolkit.studies.protocols`.
        limit_params: models with more unique parameters are left out.
        memory_gb: models and contexts that need more are left out; by default what fits into the devices.
        rounds: independent runs of each combination. Without a second one the noise between runs is unknown.
        tasks, items, include_path: of studies that score tasks.
        energy: of capability: joules beside speed, which needs a phone on battery.
        lengths, depths, trials: of needles in long texts.
        minutes: of decoding.
        name: of the recipe and its folder; studies of other models can so be kept apart.
    """

    models: Annotated[
        Words,
        Option(
            "Models: survey, another group or names of slm models list (random weights), hub ids, folders; "
            "may be repeated, or separated by commas.",
            written=list[str],
            group="Models",
        ),
    ] = ()
    device: Annotated[
        Words,
        Option(
            "local, virtual, virtual:N, phones, or a serial; may be repeated.",
            written=list[str],
            group="Device",
        ),
    ] = ()
    quant: Annotated[
        Words,
        Option(
            f"Schemes or presets ({PRESET_NAMES}), as slm convert takes them.",
            written=list[str],
            group="Quantization",
        ),
    ] = ()
    backend: Annotated[
        Annotated[tuple[EngineName, ...], BeforeValidator(_words)],
        Option("Engines, as in slm runtime engines.", written=list[str], group="Engine"),
    ] = ()
    protocol: Annotated[
        ProtocolName | None,
        Option(
            "survey (50/50 tokens, context 2048, 10 s pauses), survey-phones (60 s), standard, smoke.",
            group="Work",
        ),
    ] = None
    limit_params: Annotated[Text | None, Option("Leave out larger models: 700M, 1.5B.", group="Models")] = (
        None
    )
    memory_gb: Annotated[
        float | None,
        Field(gt=0),
        Option("Leave out models and contexts that need more memory than this.", group="Models"),
    ] = None
    threads: Annotated[CountOrZero, Option("Engine threads; 0: the runner's choice.", group="Engine")] = 0
    repetitions: Annotated[
        Count | None, Option("Measured repetitions of each run.", flags=("--repetitions", "-r"), group="Work")
    ] = None
    rounds: Annotated[Count | None, Option("Independent runs of each combination.", group="Work")] = None
    tasks: Annotated[
        Text | None,
        Option("Tasks or a preset, as slm evaluate takes them; of capability and in-context.", group="Tasks"),
    ] = None
    items: Annotated[Count | None, Option("Items of each task. Default: all.", group="Tasks")] = None
    include_path: Annotated[
        Path | None, Option("A folder with YAML files of tasks of one's own.", group="Tasks")
    ] = None
    energy: Annotated[
        Flag, Option("Measure joules beside speed, on a phone on battery; of capability.", group="Energy")
    ] = False
    lengths: Annotated[
        Text | None, Option("Of texts with a needle, in tokens; of long-context.", group="Needles")
    ] = None
    depths: Annotated[Text | None, Option("Where the needle stands, in percent.", group="Needles")] = None
    trials: Annotated[Count | None, Option("Needles of each kind in each cell.", group="Needles")] = None
    minutes: Annotated[
        float | None,
        Field(ge=0.02, le=1440),
        Option("Minutes of decoding; of sustained. Default: 10.", group="Work"),
    ] = None
    name: Annotated[
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,47}$")] | None,
        Option("Name of the study's folder. Default: study-NAME.", group="Output"),
    ] = None
