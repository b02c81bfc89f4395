"""`latency-overview`: time to the first token and per generated token against the size of the model."""

from __future__ import annotations

from toolkit.analysis.findings import Finding, Statement, linearity, scatter_ratio
from toolkit.report.study_content import StudyFigure
from toolkit.studies import overview, pairs
from toolkit.studies.data import StudyData, samples
from toolkit.studies.leaderboard import phones_figure
from toolkit.studies.study import Study
from toolkit.studies.template import profiled

_NAMES = ("ttft_ms", "decode_ms")
_PUBLISHED = {"ttft_ms": "first_token_ms_prompt50", "decode_ms": "decode_ms_per_token"}
_FIRST, _EACH = "time to the first token, ms (log)", "time per generated token, ms (log)"

STATEMENTS = (
    Statement(
        text="Beyond size, the architecture moves the time to the first token more than the time per "
        "generated token",
        source="survey section 4.1, insight on latency",
        names=_NAMES,
        statistic=scatter_ratio("ttft_ms", "decode_ms"),
        limit=1.0,
        above=True,
        effect="{:.2f}".format,
        unit=" times the scatter around the line through size",
    ),
    Statement(
        text="The time per generated token is linear in the number of parameters",
        source="survey section 4.1, insight on latency",
        names=("decode_ms",),
        statistic=linearity("decode_ms"),
        limit=0.9,
        above=True,
        effect="R2 {:.3f}".format,
    ),
)


def _figures(data: StudyData) -> list[StudyFigure]:
    own = overview.panels(
        data, (("Time to the first token", "ttft_ms", _FIRST), ("Each generated token", "decode_ms", _EACH))
    )
    other = overview.published_panel(
        (
            ("Time to the first token", _PUBLISHED["ttft_ms"], _FIRST),
            ("Each generated token", _PUBLISHED["decode_ms"], _EACH),
        )
    )
    text = (
        "Medians over all repetitions of all runs; rules are 95 % bootstrap intervals. Parameters are unique "
        "ones, a tied vocabulary counts once; both axes are logarithmic. The published panel counts as "
        "llama.cpp does and is another device with another engine: compare shapes, not heights."
    )
    return [StudyFigure("latency", "Latency against size", text, [*own, other]), phones_figure(data)]


def _findings(data: StudyData) -> list[Finding]:
    other = overview.published_samples(_PUBLISHED)
    found = []
    for where, points in data.series():
        own = samples(points, _NAMES)
        found += [statement.test(own, where, other) for statement in STATEMENTS]
        noise = {"ttft_ms": data.noise("ttft", points), "decode_ms": data.noise("decode", points)}
        found.append(pairs.larger_but_faster(own, "ttft_ms", noise["ttft_ms"], where, other))
        found.append(pairs.equal_architectures(points, noise, where))
    return [*found, pairs.counting(data.points)]


STUDY = Study(
    name="latency-overview",
    title="Latency overview",
    question="How long does the first token take, and each one after it, in models of different sizes?",
    survey="Fig. 7a and b (v3: Fig. 8a and b)",
    template=profiled,
    figures=_figures,
    table=overview.table,
    findings=_findings,
    models="survey-latency",
)
