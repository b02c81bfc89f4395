"""What a profile run is asked to do, and the checks that need no device."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field

from toolkit.artifact import Artifact, Frozen
from toolkit.errors import UsageError
from toolkit.profiling.energy_options import EnergyOptions
from toolkit.profiling.gate_options import GateOptions

_CPUS = re.compile("([0-9]+)(?:-([0-9]+))?")
# Linux counts at most 8192 CPUs.
_LAST_CPU = 8191


class ProfileOptions(Frozen):
    """Work per repetition and how it is run.

    Attributes:
        prompt_tokens: tokens prefilled, timed (pp).
        generate_tokens: tokens generated (tg); the first one belongs to prefill.
        depth: tokens already in the KV cache before the prefill, not timed.
        repetitions: measured repetitions.
        warmup: repetitions before them that do not count.
        threads: engine threads; 0 lets the runner choose.
        affinity: CPUs that the runner may use; empty for all.
        prefill_chunk: prompt tokens per prefill call; 0 for all at once.
        kernels: whose kernels multiply with quantized weights; None leaves the choice to the runner.
        gate: what the device must meet before each repetition.
        energy: how energy is measured, or None when it is not.
    """

    prompt_tokens: int = Field(512, ge=1)
    generate_tokens: int = Field(128, ge=1)
    depth: int = Field(0, ge=0)
    repetitions: int = Field(5, ge=1)
    warmup: int = Field(1, ge=0)
    threads: int = Field(0, ge=0)
    affinity: tuple[int, ...] = ()
    prefill_chunk: int = Field(0, ge=0)
    kernels: Literal["own", "engine"] | None = None
    gate: GateOptions = GateOptions()
    energy: EnergyOptions | None = None

    @property
    def tokens_per_repetition(self) -> int:
        """Positions of the KV cache that a repetition fills."""
        return self.depth + self.prompt_tokens + self.generate_tokens

    @property
    def work_tokens(self) -> int:
        """Tokens processed by the whole run, warm-ups included."""
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


def check_context(artifact: Artifact, options: ProfileOptions) -> None:
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
