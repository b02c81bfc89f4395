"""Made-up samples that the benchmark tests share."""

from __future__ import annotations

from benchmarks.machine import Machine
from benchmarks.results import Results, Round, Row
from benchmarks.samples import ProfileSample, Repetition, Score

MACHINE = Machine(
    cpu="Test | CPU",
    cores=2,
    ram_bytes=8 * 2**30,
    kernel="6.1",
    operating_system="Debian",
    python="3.11.2",
    commit="0123456789abcdef",
    uncommitted_changes=False,
)


def sample(prefill_ms: int, step_ms: int, *, repetitions: int = 2) -> ProfileSample:
    """One warm-up ten times slower, then equal repetitions of four generated tokens."""
    timed = Repetition(warmup=False, prefill_ns=prefill_ms * 10**6, decode_ns=[step_ms * 10**6] * 3)
    warm = Repetition(warmup=True, prefill_ns=prefill_ms * 10**7, decode_ns=[step_ms * 10**7] * 3)
    return ProfileSample(
        load_ns=50 * 10**6,
        peak_rss_bytes=210 * 10**6,
        interpreter_rss_bytes=10 * 10**6,
        threads=2,
        repetitions=[warm, *[timed] * repetitions],
    )


def row(
    name: str,
    samples: list[ProfileSample],
    *,
    engine: str = "onnxruntime",
    score: Score | None = None,
    failure: str | None = None,
) -> Row:
    rounds = [Round(round=i, position=0, busy_before=0.01, sample=s) for i, s in enumerate(samples)]
    return Row(
        name=name,
        title=f"title of {name}",
        engine=engine,
        notes="notes",
        files_bytes=90_000_000,
        rounds=rounds,
        score=score,
        failure=failure,
    )


def results(*rows: Row, quick: bool = False) -> Results:
    return Results(
        finished_utc="2026-01-01T00:00:00+00:00",
        quick=quick,
        model="model",
        model_sha256="ab" * 32,
        prompt_tokens=100,
        generate_tokens=4,
        threads=2,
        rounds=2,
        warmup=1,
        repetitions=2,
        windows=1,
        window_tokens=512,
        text="text.txt",
        text_sha256="cd" * 32,
        machine=MACHINE,
        reference=Score(negative_log_likelihood=100.0, scored_tokens=50),
        rows=list(rows),
    )
