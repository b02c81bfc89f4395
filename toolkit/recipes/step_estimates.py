"""What a step will take: seconds, disk and memory. From this workspace's own past where it has one."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from toolkit.engines import ENGINES
from toolkit.estimate.estimate import Estimate, estimate
from toolkit.estimate.stored import quantized_as
from toolkit.export.context import DEFAULT_CONTEXT
from toolkit.export.quantization import plan_of
from toolkit.export.request import ConvertRequest
from toolkit.models.catalogue.catalogue import shipped
from toolkit.models.catalogue.entry import Entry
from toolkit.models.facts_shape import shape_of_config, shape_of_entry
from toolkit.models.shape import DecoderShape, MatrixRole, MatrixShape
from toolkit.profiling.request import ProfileRequest
from toolkit.recipes.workspace import StepRecord

# What is made of a model by tuning has its sizes.
_TUNED = re.compile("-(instruct|chat|it)$", re.IGNORECASE)
# Measured on one core of a 2.1 GHz Xeon; the first real steps replace them.
_IMPORTS_BYTES = 450e6
_CONVERT_START_S = 0.3
_CONVERT_PARAMETERS_PER_SECOND = 8e6
# float32 copies of the largest matrix that quantizing, writing and checking parity hold at once.
_LARGEST_MATRIX_COPIES = 6
_PROFILE_START_S = 3.0
_RESULT_BYTES = 200_000
# Of a model whose size alone is known: below 2e9 parameters SmolLM2, Qwen2.5 and Llama 3.2 have about a fifth
# of them in the vocabulary, larger ones hardly more than this (Llama 3 8B: 128,256 x 4096). And how many
# matrices there are beside it.
_VOCABULARY_PART = 5
_VOCABULARY_LARGEST = 525_000_000
_LINEARS = 100
# Multiplications and additions of a small core, and bytes of its memory.
_FLOPS = 120e9
_DECODE_BYTES_PER_SECOND = 8e9


@dataclass(frozen=True)
class StepEstimate:
    """What a step is expected to take.

    Attributes:
        seconds: wall-clock time.
        disk_bytes: what it leaves on disk.
        ram_bytes: most memory at once.
    """

    seconds: float = 0.0
    disk_bytes: int = 0
    ram_bytes: int = 0


@dataclass(frozen=True)
class ModelSize:
    """A decoder's sizes as its config tells them; a made-up one where there is no config."""

    shape: DecoderShape

    @classmethod
    def of(cls, fields: Mapping[str, Any], model: str = "") -> ModelSize:
        """From config fields, or the catalogue's facts; without any, a model of 1e9 parameters is assumed.

        Args:
            fields: as far as they are known.
            model: a recipe's word for it.
        """
        if "file_bytes" in fields:
            # A GGUF file has four and a half bits per weight or more.
            return cls(_unknown(int(fields["file_bytes"] * 8 / 4.5)))
        if shape := shape_of_config(fields):
            return cls(shape)
        entry = shipped().find(model) or shipped().find(_TUNED.sub("", model))
        return (cls.of_entry(entry) if entry else None) or cls(_unknown(1_000_000_000))

    @classmethod
    def of_entry(cls, entry: Entry) -> ModelSize | None:
        """From a catalogue's facts, or its config where they are too few; None where both are."""
        shape = shape_of_entry(entry) or shape_of_config(entry.config or {})
        return None if shape is None else cls(shape)

    @property
    def parameters(self) -> int:
        """Unique ones."""
        return self.shape.unique_parameters

    @property
    def largest_matrix(self) -> int:
        """Its weights."""
        return max(one.elements for one in self.shape.matrices)


@dataclass
class History:
    """Seconds and memory of steps that were done, by what they are comparable in."""

    seconds: dict[tuple[str, ...], list[float]] = field(default_factory=dict)
    ram_bytes: dict[tuple[str, ...], list[float]] = field(default_factory=dict)

    @classmethod
    def of(cls, records: Iterable[StepRecord]) -> History:
        """From a workspace's records."""
        history = cls()
        for record in records:
            result = record.result or {}
            alike = result.get("alike")
            if record.last.outcome == "done" and alike:
                # A conversion's own clock leaves out what only the first one pays: importing the libraries.
                seconds = result.get("seconds", record.last.seconds)
                if seconds is not None:
                    history.seconds.setdefault(tuple(alike), []).append(float(seconds))
                if peak := result.get("peak_bytes"):
                    history.ram_bytes.setdefault(tuple(alike), []).append(float(peak))
        return history

    def corrected(self, guess: StepEstimate, alike: tuple[str, ...]) -> StepEstimate:
        """The guess, with what was really measured in its place where there is something."""
        seconds, ram = self.seconds.get(alike), self.ram_bytes.get(alike)
        return StepEstimate(
            statistics.median(seconds) if seconds else guess.seconds,
            guess.disk_bytes,
            # The most, not the median: this one decides whether a step may start.
            int(max(ram)) if ram else guess.ram_bytes,
        )


def conversion_estimate(size: ModelSize, request: ConvertRequest) -> StepEstimate:
    """A first guess for a conversion."""
    return StepEstimate(
        seconds=_CONVERT_START_S + size.parameters / _CONVERT_PARAMETERS_PER_SECOND,
        disk_bytes=_estimate(size, request).artifact_bytes,
        ram_bytes=int(_IMPORTS_BYTES + 4 * _LARGEST_MATRIX_COPIES * size.largest_matrix),
    )


def peak_bytes(size: ModelSize, request: ConvertRequest, text: int) -> int:
    """Most memory of a run with so many tokens in the cache."""
    return _estimate(size, request, text).memory.peak_bytes


def profile_estimate(size: ModelSize, conversion: ConvertRequest, run: ProfileRequest) -> StepEstimate:
    """A first guess for a profile run."""
    found = _estimate(size, conversion, run.tokens_per_repetition)
    prefill = size.shape.prefill_flops(run.prompt_tokens + run.depth) / _FLOPS
    decode = run.generate_tokens * found.decode_bytes / _DECODE_BYTES_PER_SECOND
    repetitions = run.repetitions + run.warmup
    once = run.pause_s + prefill + decode
    seconds = _PROFILE_START_S + max(repetitions * once, run.warmup * once + run.repeat_s)
    peak = peak_bytes(size, conversion, run.positions(_context(size, conversion)))
    return StepEstimate(seconds, _RESULT_BYTES, peak)


def _context(size: ModelSize, request: ConvertRequest) -> int:
    return request.context or min(DEFAULT_CONTEXT, size.shape.longest or DEFAULT_CONTEXT)


def _estimate(size: ModelSize, request: ConvertRequest, text: int = 1) -> Estimate:
    engine = ENGINES.get(request.backend)
    plan = plan_of(request, tied=size.shape.tied)
    return estimate(
        size.shape,
        quantized_as(size.shape, plan),
        engine,
        context=_context(size, request),
        text=text,
        prompt_tokens=text,
    )


def _unknown(parameters: int) -> DecoderShape:
    """A decoder of which the size alone is known: its largest matrix is its vocabulary, as in real ones."""
    hidden = 1024
    vocabulary = min(parameters // _VOCABULARY_PART, _VOCABULARY_LARGEST)
    linears = (parameters - vocabulary) // _LINEARS
    names: tuple[tuple[str, MatrixRole, int], ...] = (
        ("embedding", "embedding", vocabulary),
        *((f"linear{number}", "linear", linears) for number in range(_LINEARS)),
        ("embedding", "lm_head", vocabulary),
    )
    matrices = tuple(MatrixShape(name, role, max(1, count // hidden), hidden) for name, role, count in names)
    return DecoderShape(hidden, matrices[0].rows, (), matrices, 0, tied=True)
