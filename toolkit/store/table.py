"""The listing's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from toolkit.engines import short_name
from toolkit.store.rows import RunSummary
from toolkit.store.short_names import model_names, quantization_names

SHOWN_ID_LENGTH = 7

HEADERS = (
    "id",
    "date",
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
    "tags",
    "status",
)

# Columns of numbers, aligned to the right.
NUMERIC = frozenset({"thr", "pp", "tg", "prefill", "decode", "MB", "parity"})


def rows_of(
    runs: Sequence[RunSummary], tags: Mapping[str, Sequence[str]] = {}, *, whole: bool = False
) -> list[tuple[str, ...]]:
    """The rows of a listing.

    Args:
        runs: models and quantizations are named as long as it takes to tell them apart.
        tags: of the runs, by id.
        whole: nothing is shortened.
    """
    models = model_names(one.artifact.model for one in runs)
    quantizations = quantization_names(one.artifact for one in runs)
    return [
        cells(
            one,
            one.artifact.model if whole else models[one.artifact.model],
            quantizations[one.artifact.sha256],
            tags.get(one.run.id, ()),
            whole=whole,
        )
        for one in runs
    ]


def cells(
    summary: RunSummary,
    model: str | None = None,
    quantization: str | None = None,
    tags: Sequence[str] = (),
    *,
    whole: bool = False,
) -> tuple[str, ...]:
    """One row of the listing, in the order of ``HEADERS``; unknown figures are a dash.

    The model's whole name and the stored quantization by default. ``512 @1024`` prompt tokens are 512 at a
    depth of 1024. Rates are tokens per second, with their standard deviation over the repetitions.
    """
    run, artifact = summary.run, summary.artifact
    depth = f" @{run.depth}" if run.depth else ""
    parity = "-" if run.greedy_matched is None else f"{run.greedy_matched}/{run.greedy_total}"
    started = datetime.fromtimestamp(run.created_unix_ns // 1_000_000_000, UTC)
    version = run.engine_version if whole else ".".join(run.engine_version.split(".")[:2])
    return (
        run.id if whole else run.id[:SHOWN_ID_LENGTH],
        f"{started:%Y-%m-%dT%H:%M:%SZ}" if whole else f"{started:%Y-%m-%d}",
        _device(summary, whole=whole),
        artifact.model if model is None else model,
        artifact.quantization if quantization is None else quantization,
        f"{run.engine if whole else short_name(run.engine)} {version}",
        str(run.threads) if run.threads else "auto",
        f"{run.prompt_tokens}{depth}",
        str(run.generate_tokens),
        _rate(run.prefill_tokens_per_second, run.prefill_stdev),
        _rate(run.decode_tokens_per_second, run.decode_stdev),
        "-" if run.peak_bytes is None else f"{run.peak_bytes / 1e6:.0f}",
        parity,
        " ".join(tags) or "-",
        run.status,
    )


def _device(summary: RunSummary, *, whole: bool) -> str:
    device = summary.device
    if device.emulated:
        called = device.name or device.serial
    else:
        called = device.name or (device.serial if device.kind == "local" else device.model or device.serial)
    if whole and called != device.serial:
        called += f" {device.serial}"
    return f"{called} (emulated)" if device.emulated else called


def _rate(tokens_per_second: float | None, stdev: float | None) -> str:
    if tokens_per_second is None:
        return "-"
    digits = 1 if tokens_per_second < 1000 else 0
    spread = "" if stdev is None else f" ±{stdev:.{digits}f}"
    return f"{tokens_per_second:.{digits}f}{spread}"
