"""The listing's columns, made to be readable at 100 characters a line."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.engines import short_name
from toolkit.store.names import model_names, quantization_names
from toolkit.store.rows import RunSummary

SHOWN_ID_LENGTH = 7

HEADERS = (
    "id",
    "device",
    "model",
    "quant",
    "engine",
    "thr",
    "pp",
    "tg",
    "prefill",
    "decode",
    "MB",
    "parity",
    "status",
)

# Columns of numbers, aligned to the right.
NUMERIC = frozenset({"thr", "pp", "tg", "prefill", "decode", "MB", "parity"})


def rows_of(runs: Sequence[RunSummary]) -> list[tuple[str, ...]]:
    """The rows of a listing, models and quantizations named as long as it takes to tell them apart."""
    models = model_names(one.artifact.model for one in runs)
    quantizations = quantization_names(one.artifact for one in runs)
    return [cells(one, models[one.artifact.model], quantizations[one.artifact.sha256]) for one in runs]


def cells(summary: RunSummary, model: str | None = None, quantization: str | None = None) -> tuple[str, ...]:
    """One row of the listing, in the order of ``HEADERS``; unknown figures are a dash.

    The model's whole name and the stored quantization by default. ``512 @1024`` prompt tokens are 512 at a
    depth of 1024. Rates are tokens per second.
    """
    run, artifact = summary.run, summary.artifact
    depth = f" @{run.depth}" if run.depth else ""
    parity = "-" if run.greedy_matched is None else f"{run.greedy_matched}/{run.greedy_total}"
    return (
        run.id[:SHOWN_ID_LENGTH],
        _device(summary),
        artifact.model if model is None else model,
        artifact.quantization if quantization is None else quantization,
        f"{short_name(run.engine)} {'.'.join(run.engine_version.split('.')[:2])}",
        str(run.threads) if run.threads else "auto",
        f"{run.prompt_tokens}{depth}",
        str(run.generate_tokens),
        _rate(run.prefill_tokens_per_second),
        _rate(run.decode_tokens_per_second),
        "-" if run.peak_bytes is None else f"{run.peak_bytes / 1e6:.0f}",
        parity,
        run.status,
    )


def _device(summary: RunSummary) -> str:
    device = summary.device
    if device.emulated:
        return f"{device.name or device.serial} (emulated)"
    return device.name or (device.serial if device.kind == "local" else device.model or device.serial)


def _rate(tokens_per_second: float | None) -> str:
    if tokens_per_second is None:
        return "-"
    return f"{tokens_per_second:.1f}" if tokens_per_second < 1000 else f"{tokens_per_second:.0f}"
