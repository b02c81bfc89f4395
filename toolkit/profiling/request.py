"""What a profile run is asked to do: `slm profile`, a recipe's `profile:` and `toolkit.profile` alike."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from toolkit.app.driver import AppState, Runner
from toolkit.artifact import Artifact
from toolkit.errors import UsageError
from toolkit.profiling.energy_options import EnergyOptions
from toolkit.profiling.gate_options import GateName, GateOptions
from toolkit.request import Count, CountOrZero, Flag, Option, Request

# The sets are those of device_runner/kernels/sets.h; which of them a CPU can run, its runner says (`info`).
Kernels = Literal["own", "engine", "own:avx512vnni", "own:avx2", "own:neon-dotprod", "own:portable"]
PageCache = Literal["cold", "warm"]
Reserve = Literal["run", "context"]
ProcessorName = Literal["cpu", "gpu", "npu"]

_CPUS = re.compile("([0-9]+)(?:-([0-9]+))?")
# Linux counts at most 8192 CPUs.
_LAST_CPU = 8191


def _cpus(value: Any) -> Any:
    """CPUs as a command line or a recipe writes them; none when they are not given."""
    if value is None:
        return ()
    if not isinstance(value, str):
        return value
    try:
        return parse_affinity(value)
    except UsageError as error:
        raise ValueError(error.what) from None


def _gate(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _energy(value: Any) -> Any:
    return ({} if value else None) if isinstance(value, bool) else value


class ProfileRequest(Request):
    """Work per repetition and how it is run.

    Attributes:
        prompt_tokens: tokens prefilled, timed (pp).
        generate_tokens: tokens generated (tg); the first one belongs to prefill.
        depth: tokens already in the KV cache before the prefill, not timed.
        repetitions: measured repetitions; at least so many where `repeat_s` is given.
        repeat_s: repetitions go on until so many seconds after the first measured one began; 0 for no longer
            than their number.
        warmup: repetitions before them that do not count.
        threads: engine threads; 0 lets the runner choose.
        affinity: CPUs that the runner may use, or a text like "0,2,4-7"; empty for all.
        prefill_chunk: prompt tokens per prefill call; 0 for all at once.
        processor: what the model runs on.
        provider: the engine's word for what runs it there; None for the engine's own choice.
        runner: what the engine runs in. Runs of the two are never compared unless that is what is asked.
        app_state: what keeps the app's process going, of a run in the app.
        kernels: whose kernels multiply with quantized weights, or which set of the runner's; None leaves the
            choice to the runner. A device that cannot run the set refuses.
        gate: what the device must meet before each repetition; its name alone stands for its limits.
        reserve: what the cache has room for, all of it in memory: the run's own positions, or the artifact's
            whole context, as in a chat. An engine takes only what is touched of what it plans otherwise.
        page_cache: whether the model's files are in memory when it is loaded; None leaves them as they are.
        pause_s: seconds that the device rests before each repetition, beside what the gate asks for.
        energy: how energy is measured, True for the defaults, or None when it is not.
        breakdown: a further pass says where the time goes.
    """

    prompt_tokens: Annotated[
        Count,
        Option("Tokens prefilled (pp).", recipe="axis", label="pp{}".format, always_shown=True, group="Work"),
    ] = 512
    generate_tokens: Annotated[
        Count,
        Option("Tokens generated (tg).", recipe="axis", label="tg{}".format, always_shown=True, group="Work"),
    ] = 128
    depth: Annotated[
        CountOrZero,
        Option("Tokens in the KV cache before the prefill.", recipe="axis", label="@{}".format, group="Work"),
    ] = 0
    repetitions: Annotated[
        Count,
        # More of them tell the same more surely.
        Option("Measured repetitions.", flags=("--repetitions", "-r"), condition=False, group="Work"),
    ] = 5
    repeat_s: Annotated[
        int,
        Field(ge=0, le=86_400, strict=True),
        Option(
            "Go on repeating until so many seconds after the first; at least --repetitions.",
            flags=("--repeat-seconds",),
            recipe_help="Go on repeating until so many seconds after the first; at least `repetitions`.",
            group="Work",
        ),
    ] = 0
    warmup: Annotated[CountOrZero, Option("Repetitions before them that do not count.", group="Work")] = 1
    threads: Annotated[
        CountOrZero,
        Option(
            "Engine threads; 0: the runner's choice.",
            flags=("--threads", "-t"),
            recipe="axis",
            label="t{}".format,
            group="Engine",
        ),
    ] = 0
    affinity: Annotated[
        tuple[int, ...],
        BeforeValidator(_cpus, json_schema_input_type=str | None),
        Option(
            "CPUs the runner may use, like 0,2,4-7.",
            written=str,
            recipe="axis",
            label=lambda cpus: f"cpus {','.join(map(str, cpus))}",
            group="Engine",
        ),
    ] = ()
    prefill_chunk: Annotated[
        CountOrZero,
        Option(
            "Prompt tokens per prefill call; 0: the runner's choice.",
            recipe="axis",
            label="chunk {}".format,
            group="Engine",
        ),
    ] = 0
    kernels: Annotated[
        Kernels | None,
        Option(
            "Whose kernels multiply with quantized weights, or which set of them; default: own where they "
            "fit, the fastest that the CPU can run.",
            recipe="axis",
            recipe_help="Whose kernels multiply with quantized weights, or which set of them; null: own "
            "where they fit, the fastest that the CPU can run.",
            group="Engine",
        ),
    ] = None
    processor: Annotated[
        ProcessorName,
        Option(
            "What the model runs on; each engine says which it has (slm runtime engines).",
            recipe="axis",
            label="on {}".format,
            group="Engine",
        ),
    ] = "cpu"
    provider: Annotated[
        str | None,
        Option(
            "The engine's word for what runs it there, as slm runtime engines lists it.",
            recipe="axis",
            recipe_help="The engine's word for what runs it there; null for its own choice.",
            label=str,
            group="Engine",
        ),
    ] = None
    runner: Annotated[
        Runner,
        Option(
            "What the engine runs in: adb's shell, or the app of `slm app install`.",
            recipe="axis",
            label="in {}".format,
            group="Device",
        ),
    ] = "shell"
    app_state: Annotated[
        AppState,
        Option(
            "With --runner app: the activity in front, or a foreground service behind other apps.",
            recipe="axis",
            label="{}".format,
            group="Device",
        ),
    ] = "activity"
    gate: Annotated[
        GateOptions,
        BeforeValidator(_gate, json_schema_input_type=GateName | GateOptions),
        Option(
            "What the device must meet before each repetition: a gate's name, or its fields.", group="Gate"
        ),
    ] = GateOptions()
    reserve: Annotated[
        Reserve,
        Option(
            "What the KV cache has room for, all of it in memory: the run's positions, or the artifact's "
            "whole context.",
            recipe="axis",
            label="{} reserved".format,
            group="Work",
        ),
    ] = "run"
    page_cache: Annotated[
        PageCache | None,
        Option(
            "cold: the model's files are dropped from memory before it is loaded; warm: they are read.",
            recipe="axis",
            recipe_help="cold, warm, or null for whatever is there.",
            label=str,
            group="Engine",
        ),
    ] = None
    pause_s: Annotated[
        float,
        Field(ge=0, le=3600),
        Option(
            "Seconds of rest before each repetition, whatever the gate says.",
            flags=("--pause",),
            group="Gate",
        ),
    ] = 0.0
    energy: Annotated[
        EnergyOptions | None,
        BeforeValidator(_energy, json_schema_input_type=bool | EnergyOptions | None),
        Option(
            "Measure joules with the battery's counters; the phone must not charge.",
            flags=("--energy",),
            recipe_help="Measure joules with the battery's counters: true, or its fields.",
            # It only watches.
            condition=False,
            group="Energy",
        ),
    ] = None

    @model_validator(mode="after")
    def _pauses_at_a_gate(self) -> Self:
        if self.pause_s and self.gate.name == "off":
            raise ValueError("a pause is made at the gate: with gate off there is none")
        return self

    @model_validator(mode="after")
    def _only_an_app_has_a_state(self) -> Self:
        if self.app_state != "activity" and self.runner != "app":
            raise ValueError(f"app state {self.app_state!r} is one of runs in the app: with --runner app")
        return self

    @property
    def gate_timeout_s(self) -> int:
        """How long the runner waits at the gate before it takes the host for gone."""
        return self.gate.runner_timeout_s + round(self.pause_s)

    breakdown: Annotated[
        Flag,
        Option(
            "Say where the time goes, by a further pass that the engine traces.",
            flags=("--breakdown",),
            recipe_help="Say where the time goes, by a further pass that the engine traces.",
            # It comes after the timed repetitions.
            condition=False,
            group="Work",
        ),
    ] = False

    @property
    def lights_screen(self) -> bool:
        """Whether the run itself keeps the screen lit: that of an app in front."""
        return self.runner == "app" and self.app_state == "activity"

    @property
    def tokens_per_repetition(self) -> int:
        """Positions of the KV cache that a repetition fills."""
        return self.depth + self.prompt_tokens + self.generate_tokens

    def positions(self, context_length: int) -> int:
        """Positions of the KV cache that are in memory, of an artifact with this context length."""
        return context_length if self.reserve == "context" else self.tokens_per_repetition

    @property
    def work_tokens(self) -> int:
        """Tokens processed by the whole run, warm-ups included, without what `repeat_s` adds."""
        return self.tokens_per_repetition * (self.repetitions + self.warmup)


def parse_affinity(text: str) -> tuple[int, ...]:
    """CPUs from a list like ``0,2,4-7``.

    Raises:
        UsageError: anything else.
    """
    cpus: set[int] = set()
    for part in text.split(",") if text else []:
        match = _CPUS.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last <= _LAST_CPU:
            raise UsageError(f"--affinity {text!r} is not a list of CPUs", next_step="Write it like 0,2,4-7.")
        cpus.update(range(first, last + 1))
    return tuple(sorted(cpus))


def check_context(artifact: Artifact, options: ProfileRequest) -> None:
    """Refuse more tokens than the artifact's KV cache holds, before anything is pushed.

    Raises:
        UsageError: depth + prompt + generated tokens exceed the artifact's context length.
    """
    limit = artifact.manifest.context_length
    if options.tokens_per_repetition > limit:
        raise UsageError(
            f"depth {options.depth} + prompt {options.prompt_tokens} + generated {options.generate_tokens} = "
            f"{options.tokens_per_repetition} tokens, its context length is {limit}",
            subject=artifact.name,
            next_step="Ask for fewer tokens, or convert the model with a larger --context.",
        )
