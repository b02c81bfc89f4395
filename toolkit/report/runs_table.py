"""The summary table's columns: what is shown and what it is sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from toolkit.analysis.roofline import RooflineShare
from toolkit.report.unique_names import Names
from toolkit.store.rows import RunSummary


@dataclass(frozen=True)
class Column:
    """A column's heading and whether it holds numbers."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """Shown text, and the number it is sorted by when the column is numeric; None sorts last."""

    text: str
    number: float | None = None


COLUMNS = (
    Column("Status"),
    Column("Model"),
    Column("Quantization"),
    Column("Engine"),
    Column("Device"),
    Column("Work"),
    Column("Prefill tok/s", numeric=True),
    Column("Decode tok/s", numeric=True),
    Column("First token ms", numeric=True),
    Column("Peak MB", numeric=True),
    Column("Size MB", numeric=True),
    Column("Parity", numeric=True),
    Column("Prefill % of roof", numeric=True),
    Column("Decode % of roof", numeric=True),
    Column("Threads", numeric=True),
    Column("Kernels"),
    Column("Started (UTC)", numeric=True),
    Column("Run"),
)

# Where the device stands in a row.
DEVICE = [column.title for column in COLUMNS].index("Device")


def cells(summary: RunSummary, names: Names, share: RooflineShare | None) -> Sequence[Cell]:
    """One row, in the order of ``COLUMNS``; no share of the roofline is one that is not known."""
    run, device, artifact = summary.run, summary.device, summary.artifact
    depth = f" @{run.depth}" if run.depth else ""
    started = datetime.fromtimestamp(run.created_unix_ns / 1e9, UTC)
    parity = None if run.greedy_matched is None or not run.greedy_total else run.greedy_matched
    return (
        Cell(run.status),
        Cell(names.model(artifact)),
        Cell(names.quantization(artifact)),
        Cell(f"{run.engine} {run.engine_version}"),
        Cell(names.device(device)),
        Cell(f"pp{run.prompt_tokens} tg{run.generate_tokens}{depth}"),
        _number(run.prefill_tokens_per_second),
        _number(run.decode_tokens_per_second),
        _number(None if run.ttft_ns is None else run.ttft_ns / 1e6),
        _number(None if run.peak_bytes is None else run.peak_bytes / 1e6),
        _number(artifact.size_bytes / 1e6),
        Cell("-") if parity is None else Cell(f"{parity}/{run.greedy_total}", parity),
        _number(None if share is None or share.prefill is None else 100 * share.prefill),
        _number(None if share is None or share.decode is None else 100 * share.decode),
        Cell(str(run.threads) if run.threads else "auto", run.threads),
        Cell(run.kernels or "-"),
        Cell(f"{started:%Y-%m-%d %H:%M}", run.created_unix_ns / 1e9),
        Cell(run.id[:8]),
    )


def _number(value: float | None) -> Cell:
    if value is None:
        return Cell("-")
    return Cell(f"{value:.0f}" if value >= 1000 else f"{value:.1f}", value)
