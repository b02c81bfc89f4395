"""The report as one HTML file that needs nothing else: style, data and scripts are inlined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from toolkit.files import write_whole
from toolkit.report import charts, frame, runs_table, scores_table
from toolkit.report.batch import STATE_WORDS, STEP_STATES, BatchStatus, StepState
from toolkit.report.configurations import Configuration, unique_labels
from toolkit.report.content import Content
from toolkit.report.figures import CHARTS, CONFIGURATION_ROWS, QUALITY_ROWS, Row, figures_of
from toolkit.report.lengths import OVER_LENGTHS, Length, apart_from, series
from toolkit.report.library import javascript
from toolkit.report.unique_names import Names
from toolkit.settings import Settings
from toolkit.store.rows import STATUSES, Device, RunSummary

_SCRIPTS = ("theme.js", "elements.js", "charts.js", "runs.js", "figures.js", "matrix.js", "report.js")

# What the matrix can show: one number for each configuration.
_MATRIX = ("decode", "prefill", "first_token", "per_token", "memory", "decode_energy", "prefill_energy")

# Rows for those who run no scripts: more of them would be slow for everybody.
_WITHOUT_SCRIPTS = 200


def write_html(content: Content, output: Path, settings: Settings) -> None:
    """Write the page; see :func:`toolkit.report.build_report`."""
    write_whole(output, render_page(content, javascript(settings.cache_dir)))


def render_page(content: Content, library: str) -> str:
    """The whole page.

    Args:
        content: what to show.
        library: JavaScript of Vega, Vega-Lite and vega-embed; see :mod:`toolkit.report.library`.
    """
    return frame.render(
        "report.html.jinja",
        library,
        _SCRIPTS,
        _data(content),
        content=content,
        glance=_glance(content),
        filters=_filters(content.runs, content.names),
        columns=runs_table.COLUMNS,
        rows=[_row(summary, content) for summary in content.runs[:_WITHOUT_SCRIPTS]],
        scores_text=scores_table.TEXT,
        score_columns=scores_table.COLUMNS,
        score_rows=scores_table.rows(content.scores, content.names),
        figures=figures_of(content),
        matrix=[(key, CHARTS[key].title) for key in _MATRIX if _has(content, key)],
        batch_text=_batch_text(content.batch),
        batch_counts=_batch_counts(content.batch),
        state_words=STATE_WORDS,
        batch_open=content.batch is not None and content.batch.count("failed") > 0,
    )


def _has(content: Content, chart: str) -> bool:
    return any(CONFIGURATION_ROWS[chart](configuration) for configuration in content.configurations)


def _glance(content: Content) -> list[tuple[str, object]]:
    devices = {summary.device.key: summary.device for summary in content.runs}.values()
    emulated = sum(device.emulated for device in devices)
    return [
        ("Runs", len(content.runs)),
        ("Ended well", len(content.runs) - content.failed),
        ("Models", len({summary.artifact.model for summary in content.runs})),
        ("Artifacts", len({summary.artifact.sha256 for summary in content.runs})),
        ("Real devices", len(devices) - emulated),
        ("Emulated devices", emulated),
    ]


def _filters(runs: Sequence[RunSummary], names: Names) -> list[tuple[str, str, list[tuple[str, str]]]]:
    devices = {summary.device.key: summary.device for summary in runs}
    statuses = {summary.run.status for summary in runs}
    return [
        ("backend", "Backend", _choices(summary.artifact.backend for summary in runs)),
        ("device", "Device", [(key, _named(devices[key], names)) for key in devices]),
        ("quantization", "Quantization", _choices(summary.artifact.quantization for summary in runs)),
        ("emulated", "Measured on", [("no", "real devices"), ("yes", "emulated devices")]),
        ("status", "Status", [(status, status) for status in STATUSES if status in statuses]),
    ]


def _named(device: Device, names: Names) -> str:
    return names.device(device) + (" (emulated)" if device.emulated else "")


def _choices(values: Iterable[str]) -> list[tuple[str, str]]:
    return [(value, value) for value in sorted(set(values))]


def _row(summary: RunSummary, content: Content) -> dict[str, Any]:
    cells = runs_table.cells(summary, content.names, content.rooflines.get(summary.run.id))
    return {
        "backend": summary.artifact.backend,
        "device": summary.device.key,
        "quantization": summary.artifact.quantization,
        "emulated": "yes" if summary.device.emulated else "no",
        "status": summary.run.status,
        "error": summary.run.error or "",
        "cells": list(zip(runs_table.COLUMNS, cells, strict=True)),
    }


def _batch_counts(batch: BatchStatus | None) -> list[tuple[StepState, int]]:
    if batch is None:
        return []
    return [(state, batch.count(state)) for state in STEP_STATES if batch.count(state)]


def _batch_text(batch: BatchStatus | None) -> str:
    if batch is None:
        return ""
    counted = ", ".join(f"{count} {STATE_WORDS[state]}" for state, count in _batch_counts(batch))
    return f"{len(batch.steps)} steps: {counted}." if counted else "No steps."


def _data(content: Content) -> dict[str, Any]:
    device_index = {device.key: index for index, device in enumerate(content.devices)}
    workload_index = {workload: index for index, workload in enumerate(content.workloads)}

    qualities = {
        one.artifact.sha256: [frame.short(one.mean_kl), frame.short(100 * one.top1_agreement)]
        for one in content.qualities
    }

    # Workloads that differ in one length alone have the same number.
    others = list(
        dict.fromkeys(
            apart_from(workload, length) for workload in content.workloads for length in get_args(Length)
        )
    )

    def configuration(label: str, shown: Configuration) -> dict[str, Any]:
        return {
            "label": label,
            "model": content.names.model(shown.artifact),
            "name": content.names.quantization(shown.artifact),
            "backend": shown.artifact.backend,
            "quantization": shown.artifact.quantization,
            "device": device_index[shown.device.key],
            "workload": workload_index[shown.workload],
            "series": series(label),
            "size_mb": frame.short(shown.artifact.size_bytes / 1e6),
            "quality": qualities.get(shown.artifact.sha256),
            "runs": " ".join(shown.run_ids),
            "charts": _columns({name: rows(shown) for name, rows in CONFIGURATION_ROWS.items()}),
        }

    return {
        "runs": _runs(content),
        "figures": [asdict(figure) for figure in figures_of(content)],
        "charts": {name: {**asdict(chart), "spec": charts.CHARTS[name]()} for name, chart in CHARTS.items()},
        "devices": [
            {"key": device.key, "label": content.names.device(device), "emulated": device.emulated}
            for device in content.devices
        ],
        "workloads": [
            {
                "text": str(workload),
                "lengths": {length: getattr(workload, length) for length in get_args(Length)},
                "apart": {length: others.index(apart_from(workload, length)) for length in get_args(Length)},
            }
            for workload in content.workloads
        ],
        "over": {name: asdict(over) for name, over in OVER_LENGTHS.items()},
        "configurations": [
            configuration(label, shown)
            for label, shown in zip(
                unique_labels(content.configurations, content.names), content.configurations, strict=True
            )
        ],
        "artifacts": [
            {
                "label": quality.label(content.names),
                "model": content.names.model(quality.artifact),
                "name": content.names.quantization(quality.artifact),
                "backend": quality.artifact.backend,
                "quantization": quality.artifact.quantization,
                "charts": _columns({name: rows(quality) for name, rows in QUALITY_ROWS.items()}),
            }
            for quality in content.qualities
        ],
    }


def _runs(content: Content) -> dict[str, Any]:
    """The table of runs as columns in which each text stands once: of 20,000 rows most say the same."""
    rows = [_row(summary, content) for summary in content.runs]
    named = {
        name: [row[name] for row in rows]
        for name in ("backend", "device", "quantization", "emulated", "status", "error")
    }
    titles = [column.title for column in runs_table.COLUMNS]
    shown = {title: [row["cells"][index][1].text for row in rows] for index, title in enumerate(titles)}
    columns = {}
    for name, texts in {**named, **shown}.items():
        numbers = {text: number for number, text in enumerate(dict.fromkeys(texts))}
        columns[name] = {"values": list(numbers), "at": [numbers[text] for text in texts]}
    return {
        "count": len(rows),
        "titles": titles,
        "numeric": [column.title for column in runs_table.COLUMNS if column.numeric],
        "columns": columns,
    }


def _columns(rows: Mapping[str, Sequence[Row]]) -> dict[str, dict[str, list[object]]]:
    """Rows as columns, numbers cut to five digits: a fifth of the size."""
    return {
        chart: {field: [frame.short(row[field]) for row in found] for field in found[0]}
        for chart, found in rows.items()
        if found
    }
