"""What a study's report shows, as plain data; the page and Markdown render it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toolkit.analysis.findings import Finding
from toolkit.report.batch import BatchStatus

Row = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Chart:
    """One drawing.

    Attributes:
        title: above it.
        kind: of :data:`toolkit.report.study_charts.KINDS`.
        options: of that kind: titles of the axes and the like.
        rows: its numbers.
        columns: of its table: title by field.
    """

    title: str
    kind: str
    options: Mapping[str, Any]
    rows: Sequence[Row]
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Panel:
    """Charts of one device under one set of conditions; no other numbers are on their axes.

    Attributes:
        title: the device.
        caption: conditions, or the source of published numbers.
        charts: side by side.
        published: somebody else's numbers.
        emulated: measured on a virtual phone.
    """

    title: str
    caption: str
    charts: Sequence[Chart]
    published: bool = False
    emulated: bool = False


@dataclass(frozen=True)
class StudyFigure:
    """One's own panels and the published one of the same thing."""

    key: str
    title: str
    text: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Table:
    """The numbers of a study: titles, which of them are numeric, and text."""

    columns: Sequence[tuple[str, bool]]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class StudyContent:
    """A study's report before it is rendered.

    Attributes:
        facts: what stands at a glance.
        conditions: sentences about how it was measured.
        left_out: models that were not measured, or what of them was not, with the reason.
    """

    title: str
    question: str
    created: datetime
    toolkit_version: str
    facts: Sequence[tuple[str, str]]
    conditions: Sequence[str]
    table: Table
    figures: Sequence[StudyFigure]
    findings: Sequence[Finding]
    left_out: Sequence[tuple[str, str]] = ()
    batch: BatchStatus | None = None
