"""Stored runs as csv, json, jsonl, Markdown or llama-bench's JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from toolkit.errors import UsageError
from toolkit.registry import Registry
from toolkit.store.llama_bench import llama_bench_rows
from toolkit.store.rows import RunSummary, StoredRun
from toolkit.store.table import HEADERS, cells

Exporter = Callable[[Sequence[StoredRun]], str]

FORMATS: Registry[Exporter] = Registry("export format", UsageError)


def as_json_data(stored: StoredRun) -> dict[str, Any]:
    """A whole run, every decode step included, as JSON data."""
    return asdict(stored)


def flat(summary: RunSummary) -> dict[str, Any]:
    """A run's scalars in one level; the device's and artifact's columns carry a prefix."""
    run = asdict(summary.run)
    row: dict[str, Any] = {key: value for key, value in run.items() if key not in ("argv", "affinity")}
    row["affinity"] = ",".join(str(cpu) for cpu in summary.run.affinity)
    row |= {f"device_{key}": value for key, value in asdict(summary.device).items() if key != "key"}
    row |= {f"artifact_{key}": value for key, value in asdict(summary.artifact).items() if key != "sha256"}
    return row


def _json(runs: Sequence[StoredRun]) -> str:
    return json.dumps([as_json_data(stored) for stored in runs], indent=2) + "\n"


def _jsonl(runs: Sequence[StoredRun]) -> str:
    return "".join(json.dumps(as_json_data(stored), separators=(",", ":")) + "\n" for stored in runs)


def _csv(runs: Sequence[StoredRun]) -> str:
    if not runs:
        return ""
    text = io.StringIO()
    rows = [flat(stored) for stored in runs]
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(runs: Sequence[StoredRun]) -> str:
    lines = ["| " + " | ".join(HEADERS) + " |", "|" + " --- |" * len(HEADERS)]
    for stored in runs:
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells(stored)) + " |")
    return "\n".join(lines) + "\n"


def _llama_bench(runs: Sequence[StoredRun]) -> str:
    # llama-bench knows no failed runs; a row there is a measurement.
    rows = [row for stored in runs if stored.run.status == "ok" for row in llama_bench_rows(stored)]
    return json.dumps(rows, indent=2) + "\n"


FORMATS.register("csv", _csv)
FORMATS.register("json", _json)
FORMATS.register("jsonl", _jsonl)
FORMATS.register("md", _markdown)
FORMATS.register("llama-bench", _llama_bench)


def export(runs: Sequence[StoredRun], format_name: str) -> str:
    """Render runs in one of ``FORMATS``.

    Raises:
        UsageError: no such format.
    """
    return FORMATS.get(format_name)(runs)
