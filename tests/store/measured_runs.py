"""Runs whose repetitions come out around a given speed."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from stored_runs import ARTIFACT, MANIFEST, stored_run

from toolkit.store import Store
from toolkit.store.rows import Measurement, Repetition

STEPS = 8


def add_measured(
    store: Store,
    run_id: str,
    *,
    decode: float = 100.0,
    prefill_seconds: float = 1.0,
    spread: float = 0.01,
    repetitions: int = 5,
    artifact: dict[str, Any] | None = None,
    manifest: dict[str, Any] = MANIFEST,
    measurements: Sequence[Measurement] = (),
    **changes: Any,
) -> str:
    """Store a run that decodes at about ``decode`` tokens per second, each repetition off by ``spread``."""
    chance = random.Random(run_id)
    rates = [decode * chance.gauss(1, spread) for _ in range(repetitions)]
    # Steadier than decoding, but no two runs come out equal.
    prefills_ns = [round(1e9 * prefill_seconds * chance.gauss(1, spread / 10)) for _ in range(repetitions)]
    measured = [
        Repetition(
            index=index + 1,
            warmup=False,
            started_unix_ns=index,
            prefill_ns=prefill_ns,
            decode_ns=(round(1e9 / rate),) * STEPS,
        )
        for index, (rate, prefill_ns) in enumerate(zip(rates, prefills_ns, strict=True))
    ]
    # Ten times as fast: a figure that took it in would be far off.
    warmup = replace(measured[0], index=0, warmup=True, decode_ns=(round(1e8 / decode),) * STEPS)
    chosen = replace(ARTIFACT, **(artifact or {}))
    run = stored_run(
        id=run_id,
        artifact_sha256=chosen.sha256,
        generate_tokens=STEPS + 1,
        decode_tokens_per_second=statistics.median(rates),
        **{
            "ttft_ns": round(statistics.median(prefills_ns)),
            "prefill_tokens_per_second": 512e9 / statistics.median(prefills_ns),
            "peak_bytes": 250_000_000 + 4096 * chance.randrange(100),
            **changes,
        },
    )
    if run.run.status == "ok":
        run = replace(run, repetitions=(warmup, *measured))
    assert store.add_run(replace(run, artifact=chosen, measurements=measurements), manifest)
    return run_id
