"""`memory-overview`: peak memory against the size of the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import linear_regression, mean

from toolkit.analysis.findings import Draw, Finding, Sample, Statement, linearity
from toolkit.models.catalogue.catalogue import shipped
from toolkit.report.study_content import StudyFigure
from toolkit.studies import overview, pairs
from toolkit.studies.data import Point, StudyData, samples
from toolkit.studies.study import Study
from toolkit.studies.template import profiled_with_whole_context

_PEAK = "peak memory, MB (log)"
_PUBLISHED = "memory_mb_ctx2048"
# The survey's examples are Gemma (256,000 tokens) and BLOOM (250,880); Qwen's 151,936 lie between.
_LARGE_VOCABULARY = 150_000
_FEWEST_BESIDE = 4


def _small_alone(draw: Draw) -> float | None:
    small = [one for one in draw if one[1]["vocabulary"] < _LARGE_VOCABULARY]
    return linearity("peak_mb")(small) if len(small) >= _FEWEST_BESIDE else None


def _large_over_line(draw: Draw) -> float | None:
    """Memory of models with large vocabularies over what the line through the others says, on average."""
    small = [(x, one["peak_mb"]) for x, one in draw if one["vocabulary"] < _LARGE_VOCABULARY]
    large = [(x, one["peak_mb"]) for x, one in draw if one["vocabulary"] >= _LARGE_VOCABULARY]
    if len({x for x, _ in small}) < _FEWEST_BESIDE or not large:
        return None
    slope, intercept = linear_regression([x for x, _ in small], [y for _, y in small])
    said = [(y, intercept + slope * x) for x, y in large]
    return mean(y / line for y, line in said) if all(line > 0 for _, line in said) else None


STATEMENTS = (
    Statement(
        text="Memory is linear in parameters where the vocabulary is not large",
        source="survey section 4.1, insight on memory",
        names=("peak_mb", "vocabulary"),
        statistic=_small_alone,
        limit=0.95,
        above=True,
        effect="R2 {:.3f}".format,
    ),
    Statement(
        text="Models with a large vocabulary take more memory than their size says",
        source="survey section 4.1, insight on memory: Gemma and BLOOM",
        names=("peak_mb", "vocabulary"),
        statistic=_large_over_line,
        limit=1.0,
        above=True,
        effect="{:.2f}".format,
        unit=" times what the line through the other models says",
    ),
)


def _with_vocabulary(sample: Sample, size: int | None) -> Sample:
    """A model whose vocabulary nobody knows has no such value, and is in no test that needs it."""
    return sample if size is None else replace(sample, values={**sample.values, "vocabulary": float(size)})


def _own(points: Sequence[Point]) -> list[Sample]:
    return [
        _with_vocabulary(sample, point.entry.architecture.vocabulary if point.entry else None)
        for sample, point in zip(samples(points, ("peak_mb",)), points, strict=True)
    ]


def _published() -> list[Sample]:
    known = shipped()
    return [
        _with_vocabulary(one, known[one.name].architecture.vocabulary)
        for one in overview.published_samples({"peak_mb": _PUBLISHED})
        if one.name in known
    ]


def _figures(data: StudyData) -> list[StudyFigure]:
    own = overview.panels(data, (("Peak memory", "peak_mb", _PEAK),))
    other = overview.published_panel((("Memory", _PUBLISHED, _PEAK),))
    text = (
        "Peak memory of the runner's process, engine included. Engines differ in what they keep beside "
        "the weights: llama.cpp's buffers hold the logits of 512 tokens, so that large vocabularies show. "
        f"{data.cache_words}"
    ).rstrip()
    return [StudyFigure("memory", "Memory against size", text, [*own, other])]


def _findings(data: StudyData) -> list[Finding]:
    other, found = _published(), []
    for where, points in data.series():
        own = _own(points)
        found += [statement.test(own, where, other) for statement in STATEMENTS]
        found.append(pairs.equal_architectures(points, {"peak_mb": data.noise("memory", points)}, where))
    return [*found, pairs.counting(data.points)]


STUDY = Study(
    name="memory-overview",
    title="Memory overview",
    question="How much memory do models of different sizes take?",
    survey="Fig. 7c (v3: Fig. 8c)",
    template=profiled_with_whole_context,
    figures=_figures,
    table=overview.table,
    findings=_findings,
    models="survey-latency",
)
