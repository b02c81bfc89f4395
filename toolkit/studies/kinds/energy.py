"""`energy`: joules per token against the size of the model. The survey announces it and gives no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toolkit.analysis.findings import Finding, Statement, linearity, scatter_ratio
from toolkit.report.study_content import StudyFigure, Table
from toolkit.studies import overview
from toolkit.studies.data import StudyData, samples
from toolkit.studies.overview import shown
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import ENERGY, profiled

_NAMES = ("prefill_joules", "decode_joules", "ttft_ms", "decode_ms")
_SOURCE = "announced in the survey's introduction; the test is ours"

STATEMENTS = (
    Statement(
        text="The energy of a generated token is linear in the number of parameters",
        source=_SOURCE,
        names=("decode_joules",),
        statistic=linearity("decode_joules"),
        limit=0.9,
        above=True,
        effect="R2 {:.3f}".format,
    ),
    Statement(
        text="Beyond size, the architecture moves the energy of the prefill more than that of decoding",
        source=_SOURCE,
        names=("prefill_joules", "decode_joules"),
        statistic=scatter_ratio("prefill_joules", "decode_joules"),
        limit=1.0,
        above=True,
        effect="{:.2f}".format,
        unit=" times the scatter around the line through size",
    ),
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    return profiled(request, subjects, profile=ENERGY)


def _figures(data: StudyData) -> list[StudyFigure]:
    own = overview.panels(
        data,
        (
            ("A prompt token", "prefill_joules", "joules per prompt token (log)"),
            ("A generated token", "decode_joules", "joules per generated token (log)"),
        ),
    )
    text = (
        "Net energy from the battery's counters, the idle phone subtracted (docs/energy.md). The counters "
        "change a few times a second at most, so prompts and answers are longer than the survey's."
    )
    return [StudyFigure("energy", "Energy against size", text, own)]


def _table(data: StudyData) -> Table:
    return Table(
        (
            ("Model", False),
            ("Unique M", True),
            ("Device", False),
            ("Engine", False),
            ("J per prompt token", True),
            ("J per generated token", True),
            ("First token ms", True),
            ("ms per token", True),
        ),
        [
            [
                point.model,
                f"{point.artifact.unique_parameters / 1e6:.1f}",
                data.names.device(point.device) + (" (emulated)" if point.device.emulated else ""),
                point.series,
                *(shown(point.numbers.get(name)) for name in _NAMES),
            ]
            for point in data.points
        ],
    )


def _findings(data: StudyData) -> list[Finding]:
    return [
        statement.test(samples(points, _NAMES), where)
        for where, points in data.series()
        for statement in STATEMENTS
    ]


STUDY = Study(
    name="energy",
    title="Energy",
    question="How many joules do a prompt token and a generated token take, in models of different sizes?",
    survey="",
    template=_template,
    figures=_figures,
    table=_table,
    findings=_findings,
    models="survey-latency",
)
