"""Stored runs as csv, json, jsonl, Markdown, HTML, Parquet or llama-bench's JSON."""

from __future__ import annotations

import codecs
import csv
import html
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, BinaryIO, TextIO, cast

from toolkit.errors import UsageError
from toolkit.registry import Registry
from toolkit.store.llama_bench import llama_bench_rows
from toolkit.store.measurements import quantities
from toolkit.store.row_columns import values_of
from toolkit.store.rows import RunSummary, StoredRun
from toolkit.store.store import Store
from toolkit.store.table import HEADERS, cells
from toolkit.store.tags import tags_of

SCHEMA = "slm-stored-run/2"

_HTML_HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>slm results</title>
<style>
table { border-collapse: collapse; font: 14px system-ui, sans-serif; white-space: nowrap; }
th, td { border: 1px solid #d9dee5; padding: 3px 8px; text-align: left; }
th { position: sticky; top: 0; background: #f4f6f9; }
</style>
<table>
"""


@dataclass(frozen=True)
class Format:
    """A way to write runs.

    Attributes:
        write: writes the runs with these ids, in that order; returns how many it left out, if it leaves any.
        is_text: whether a terminal can show it.
    """

    write: Callable[[Store, Sequence[str], BinaryIO], int | None]
    is_text: bool = True


def as_json_data(stored: StoredRun) -> dict[str, Any]:
    """A whole run, every decode step included, as JSON data."""
    return asdict(stored)


def flat(summary: RunSummary) -> dict[str, Any]:
    """A run's scalars in one level; the device's and artifact's columns carry a prefix."""
    run = values_of(summary.run)
    row: dict[str, Any] = {
        key: value for key, value in run.items() if key not in ("argv", "affinity", "settings")
    }
    row["affinity"] = ",".join(str(cpu) for cpu in summary.run.affinity)
    row["settings"] = json.dumps(summary.run.settings, sort_keys=True) if summary.run.settings else None
    row |= {one.name: summary.measured(one.name) for one in quantities("run")}
    row |= {f"device_{key}": value for key, value in asdict(summary.device).items() if key != "key"}
    row |= {f"artifact_{key}": value for key, value in asdict(summary.artifact).items() if key != "sha256"}
    return row


def export(store: Store, run_ids: Sequence[str], format_name: str, stream: BinaryIO) -> int:
    """Write runs in one of ``FORMATS``.

    Returns:
        How many were left out, because the format has no place for runs that are not ok.

    Raises:
        UsageError: no such format.
        RunNotFound: one of the runs does not exist.
    """
    return FORMATS.get(format_name).write(store, run_ids, stream) or 0


def portable(store: Store, run_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Whole runs with all that another store needs to hold them: manifests and tags as well."""
    manifest = lru_cache(maxsize=64)(store.manifest)
    for stored in store.iterate_runs(run_ids):
        yield {
            "schema": SCHEMA,
            **as_json_data(stored),
            "manifest": manifest(stored.artifact.sha256),
            "tags": tags_of(store, [stored.run.id]).get(stored.run.id, []),
        }


def _text(stream: BinaryIO) -> TextIO:
    """Writes UTF-8 into a stream; unlike io.TextIOWrapper it never closes one that broke."""
    return cast(TextIO, codecs.getwriter("utf-8")(stream))


def _json(store: Store, run_ids: Sequence[str], stream: BinaryIO) -> None:
    _write_array(portable(store, run_ids), stream)


def _llama_bench(store: Store, run_ids: Sequence[str], stream: BinaryIO) -> int:
    left_out = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal left_out
        for stored in store.iterate_runs(run_ids):
            # llama-bench knows no failed runs; a row there is a measurement.
            found = llama_bench_rows(stored) if stored.run.status == "ok" else []
            left_out += not found
            yield from found

    _write_array(rows(), stream)
    return left_out


def _write_array(items: Iterable[Any], stream: BinaryIO) -> None:
    text = _text(stream)
    before = "[\n"
    for item in items:
        text.write(before + json.dumps(item))
        before = ",\n"
    text.write("\n]\n" if before == ",\n" else "[]\n")


def _jsonl(store: Store, run_ids: Sequence[str], stream: BinaryIO) -> None:
    text = _text(stream)
    for item in portable(store, run_ids):
        text.write(json.dumps(item, separators=(",", ":")) + "\n")


def _csv(store: Store, run_ids: Sequence[str], stream: BinaryIO) -> None:
    text = _text(stream)
    writer = None
    for summary in store.iterate_summaries(run_ids):
        row = flat(summary)
        if writer is None:
            writer = csv.DictWriter(text, fieldnames=list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow(row)


def _markdown(store: Store, run_ids: Sequence[str], stream: BinaryIO) -> None:
    text = _text(stream)
    text.write("| " + " | ".join(HEADERS) + " |\n|" + " --- |" * len(HEADERS) + "\n")
    for summary in store.iterate_summaries(run_ids):
        text.write("| " + " | ".join(cell.replace("|", "\\|") for cell in cells(summary)) + " |\n")


def _html(store: Store, run_ids: Sequence[str], stream: BinaryIO) -> None:
    text = _text(stream)
    text.write(_HTML_HEAD)
    for number, summary in enumerate(store.iterate_summaries(run_ids)):
        row = flat(summary)
        if number == 0:
            text.write(f"<thead><tr>{_html_cells(row, 'th')}</tr></thead>\n<tbody>\n")
        # Unknown is empty, as in CSV.
        values = ("" if value is None else value for value in row.values())
        text.write(f"<tr>{_html_cells(values, 'td')}</tr>\n")
    text.write("</tbody></table>\n" if run_ids else "</table>\n")


def _html_cells(texts: Iterable[object], element: str) -> str:
    return "".join(f"<{element}>{html.escape(str(text))}</{element}>" for text in texts)


def _parquet(store: Store, run_ids: Sequence[str], stream: BinaryIO) -> None:
    # Behind an extra of its own.
    from toolkit.store.parquet import write_parquet

    write_parquet(store.iterate_runs(run_ids), stream)


FORMATS: Registry[Format] = Registry("export format", UsageError)
FORMATS.register("csv", Format(_csv))
FORMATS.register("json", Format(_json))
FORMATS.register("jsonl", Format(_jsonl))
FORMATS.register("md", Format(_markdown))
FORMATS.register("html", Format(_html))
FORMATS.register("parquet", Format(_parquet, is_text=False))
FORMATS.register("llama-bench", Format(_llama_bench))
