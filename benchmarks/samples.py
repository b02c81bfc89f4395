"""What one process of one engine measured, validated where it enters."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.errors import PeerFailed
from toolkit.profiling.records import Result


class Frozen(BaseModel):
    """Immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Repetition(Frozen):
    """One prefill and the decode steps after it; the first token belongs to prefill."""

    warmup: bool
    prefill_ns: int = Field(gt=0)
    decode_ns: list[int] = Field(min_length=1)


class ProfileSample(Frozen):
    """One process: load, warm-up, repetitions.

    ``interpreter_rss_bytes`` is what the Python interpreter held before it imported the engine; it is no
    part of the engine's memory and is subtracted from the peak. ``threads`` None means the engine's default.
    """

    load_ns: int = Field(gt=0)
    peak_rss_bytes: int = Field(gt=0)
    interpreter_rss_bytes: int = Field(ge=0)
    threads: int | None
    generated: list[int] = Field(default_factory=list)
    repetitions: list[Repetition]

    @property
    def measured(self) -> list[Repetition]:
        """Without the warm-ups."""
        return [repetition for repetition in self.repetitions if not repetition.warmup]

    @property
    def engine_rss_bytes(self) -> int:
        """Peak memory less the interpreter's share."""
        return self.peak_rss_bytes - self.interpreter_rss_bytes


class Score(Frozen):
    """Summed negative log likelihood, in nats."""

    negative_log_likelihood: float
    scored_tokens: int = Field(gt=0)

    @property
    def perplexity(self) -> float:
        """The exponential of the mean over the scored tokens."""
        from toolkit.evaluate.likelihood import perplexity

        return perplexity(self.negative_log_likelihood, self.scored_tokens)


class ConversionCost(Frozen):
    """One conversion as a child process; the peak is the largest single process of it."""

    label: str
    seconds: float
    peak_rss_bytes: int


_Model = TypeVar("_Model", bound=Frozen)


def read_answer(path: Path, model: type[_Model]) -> _Model:
    """Read a driver's answer.

    Raises:
        PeerFailed: no answer, or a malformed one.
    """
    try:
        return model.model_validate_json(path.read_text())
    except FileNotFoundError:
        raise PeerFailed(f"no answer in {path.name}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise PeerFailed(f"malformed answer in {path.name}: {where}: {first['msg']}") from None


def check_counts(
    sample: ProfileSample, *, warmup: int, repetitions: int, generate_tokens: int
) -> ProfileSample:
    """Refuse a sample that did other work than asked for.

    Raises:
        PeerFailed: wrong number of repetitions, warm-ups or decode steps.
    """
    found = [repetition.warmup for repetition in sample.repetitions]
    if found != [True] * warmup + [False] * repetitions:
        raise PeerFailed(f"{len(found)} repetitions, {warmup} + {repetitions} were asked for")
    for repetition in sample.repetitions:
        if len(repetition.decode_ns) != generate_tokens - 1:
            raise PeerFailed(f"{len(repetition.decode_ns)} decode steps for {generate_tokens} tokens")
    return sample


def sample_of_result(result: Result) -> ProfileSample:
    """Our runner's result in the terms of this benchmark."""
    return ProfileSample(
        load_ns=result.start.load_ns,
        peak_rss_bytes=result.memory.vm_hwm_bytes,
        interpreter_rss_bytes=0,
        threads=result.start.threads,
        repetitions=[
            Repetition(warmup=r.warmup, prefill_ns=r.prefill_ns, decode_ns=r.decode_ns)
            for r in result.repetitions
        ],
    )
