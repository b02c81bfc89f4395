"""The report as Markdown tables, for a pull request or a wiki."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from toolkit.files import write_whole
from toolkit.report import runs_table, scores_table
from toolkit.report.batch import STATE_WORDS, STEP_STATES, BatchStatus
from toolkit.report.configurations import unique_labels
from toolkit.report.content import Content
from toolkit.report.figures import CHARTS, CONFIGURATION_ROWS, QUALITY_ROWS, Row, figures_of
from toolkit.report.lengths import OVER_LENGTHS
from toolkit.settings import Settings

# Curves are for drawing: a table of every step helps nobody.
_DRAWN_ONLY = frozenset({"curve", *OVER_LENGTHS})


def write_markdown(content: Content, output: Path, settings: Settings) -> None:
    """Write the document; see :func:`toolkit.report.build_report`."""
    write_whole(output, render_markdown(content))


def render_markdown(content: Content) -> str:
    """The whole document."""
    return "\n".join(_document(content)) + "\n"


def _document(content: Content) -> Iterator[str]:
    made = f"{content.created:%Y-%m-%d %H:%M} UTC by slm-toolkit {content.toolkit_version}"
    yield f"# {escaped(content.title)}\n"
    yield f"{escaped(content.selection)} Made {made}.\n"
    if content.batch is not None:
        yield from _batch(content.batch)
    yield "## Runs\n"
    yield _table(
        [column.title for column in runs_table.COLUMNS],
        [
            _run(
                summary.device.emulated,
                runs_table.cells(summary, content.names, content.rooflines.get(summary.run.id)),
            )
            for summary in content.runs
        ],
        numeric=[column.numeric for column in runs_table.COLUMNS],
    )
    if content.scores:
        yield "## Scores\n"
        yield f"{scores_table.TEXT}\n"
        yield _table(
            [column.title for column in scores_table.COLUMNS],
            [[cell.text for cell in row] for row in scores_table.rows(content.scores, content.names)],
            numeric=[column.numeric for column in scores_table.COLUMNS],
        )
    for figure in figures_of(content):
        charts = [chart for chart in figure.charts if chart not in _DRAWN_ONLY]
        if charts:
            yield f"## {figure.title}\n"
            yield f"{figure.text}\n"
            for chart in charts:
                yield from _quality(content, chart) if figure.scope == "artifact" else _panels(content, chart)


def _run(emulated: bool, cells: Sequence[runs_table.Cell]) -> list[str]:
    shown = [cell.text for cell in cells]
    if emulated:
        shown[runs_table.DEVICE] += " (emulated)"
    return shown


def _batch(batch: BatchStatus) -> Iterator[str]:
    yield f"## Batch {escaped(batch.name)}\n"
    counted = ", ".join(
        f"{batch.count(state)} {STATE_WORDS[state]}" for state in STEP_STATES if batch.count(state)
    )
    yield f"{len(batch.steps)} steps: {counted}.\n"
    failed = [step for step in batch.steps if step.state == "failed"]
    if failed:
        yield _table(["failed step", "why"], [[step.name, step.detail or ""] for step in failed])


def _panels(content: Content, chart: str) -> Iterator[str]:
    labels = dict(
        zip(
            map(id, content.configurations), unique_labels(content.configurations, content.names), strict=True
        )
    )
    for workload in content.workloads:
        for device in content.devices:
            shown: list[tuple[str, Row]] = [
                (labels[id(configuration)], row)
                for configuration in content.configurations
                if configuration.device.key == device.key and configuration.workload == workload
                for row in CONFIGURATION_ROWS[chart](configuration)
            ]
            if shown:
                where = escaped(content.names.device(device))
                if device.emulated:
                    where += " (**emulated: says nothing about the speed of a phone**)"
                yield f"**{CHARTS[chart].title}** on {where}: {escaped(str(workload))}.\n"
                yield _rows(chart, shown)


def _quality(content: Content, chart: str) -> Iterator[str]:
    yield f"**{CHARTS[chart].title}**\n"
    yield _rows(
        chart,
        [
            (quality.label(content.names), row)
            for quality in content.qualities
            for row in QUALITY_ROWS[chart](quality)
        ],
    )


def _rows(chart: str, rows: Sequence[tuple[str, Row]]) -> str:
    columns = CHARTS[chart].columns
    return _table(
        ["configuration", *columns.values()],
        [[label.replace("\n", ", "), *(_shown(row[name]) for name in columns)] for label, row in rows],
        numeric=[False, *(name != "part" for name in columns)],
    )


def _shown(value: float | int | str) -> str:
    return (
        f"{value:.4g}"
        if isinstance(value, float) and abs(value) < 1000
        else (f"{value:.0f}" if isinstance(value, float) else str(value))
    )


def _table(
    headers: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Sequence[bool] | None = None
) -> str:
    right = numeric or [False] * len(headers)
    lines = [
        "| " + " | ".join(headers) + " |",
        "| " + " | ".join("---:" if is_number else "---" for is_number in right) + " |",
        *("| " + " | ".join(map(escaped, row)) + " |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that no Markdown reader takes for markup, HTML or the end of a table's cell."""
    for sign in "\\`*_[]|":
        text = text.replace(sign, f"\\{sign}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
