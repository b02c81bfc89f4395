"""`quantization`: schemes against each other, over prompt lengths and decode steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import linear_regression
from typing import Any

from toolkit.analysis.findings import Draw, Finding, Middle, Sample, Statement
from toolkit.compress.schemes import SCHEMES
from toolkit.report.configurations import shared_words
from toolkit.report.study_content import Panel, StudyFigure
from toolkit.studies import lengths, published
from toolkit.studies.data import Number, Point, StudyData
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import profiled

PROMPTS = [1, 8, 16, 24, 32, 40, 50]
GENERATED = 50
_SOURCE = "survey section 4.2.1, insights on quantization"
# Of the published series: bits of a weight, and whether a machine word holds a whole number of them.
_PUBLISHED_BITS = {"Q8_0": 8, "Q6_K": 6, "Q5_K": 5, "Q4_K_M": 4, "Q3_K": 3}
_PUBLISHED_BASE = "FP16"


def _prefill_falls(draw: Draw) -> float | None:
    xs = [x for x, _ in draw]
    if len(set(xs)) < 3:
        return None
    slope = linear_regression(xs, [values["prefill"] for _, values in draw]).slope
    return 100 * slope * 10


STATEMENTS = (
    Statement(
        text="Decoding gains more from quantization than the prefill",
        source=_SOURCE,
        names=("prefill", "decode"),
        statistic=Middle(lambda one: 100 * (one["decode"] - one["prefill"])),
        limit=0.0,
        above=True,
        of="prompt lengths",
        effect="{:+.1f}".format,
        unit=" percentage points more of the time saved",
    ),
    Statement(
        text="What quantization saves in the prefill shrinks as the prompt grows",
        source=_SOURCE,
        names=("prefill",),
        statistic=_prefill_falls,
        limit=0.0,
        above=False,
        of="prompt lengths",
        effect="{:+.2f}".format,
        unit=" percentage points of saving for 10 tokens more",
    ),
)
_REGULAR = Statement(
    text="Widths of 4 and 8 bits decode faster than 3, 5 and 6 bits would by their size",
    source=_SOURCE,
    names=("regular",),
    statistic=Middle(lambda one: 100 * one["regular"]),
    limit=0.0,
    above=True,
    of="lengths with 3 and 4 bits",
    effect="{:+.1f}".format,
    unit=" percentage points more saved by 4 bits than by 3",
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    return profiled(request, subjects, profile={"prompt_tokens": PROMPTS, "generate_tokens": GENERATED})


def _figures(data: StudyData) -> list[StudyFigure]:
    own = []
    for device, points in data.by_device():
        for model, some in lengths.by_model(points).items():
            own.append(
                Panel(
                    f"{model} on {data.names.device(device)}",
                    f"Conditions: {shared_words(one.workload for one in some)}; prompts as on the axis.",
                    lengths.charts(data, some, lambda point: point.series),
                    emulated=device.emulated,
                )
            )
    other = lengths.published_panel("quantization_prefill", "quantization_decode")
    text = (
        "Left the first token after prompts of different lengths, right each step after the longest prompt: "
        "medians over repetitions. The published panel is Phi-1.5; its right axis are generated tokens."
    )
    return [StudyFigure("quantization", "Latency by scheme", text, [*own, other])]


def savings(points: Sequence[Point]) -> tuple[str, list[Sample]]:
    """The scheme with floats that others are held against, and what each other one saves at each length.

    fp16 where it was measured, as in the survey; fp32 else.
    """
    names = {point.artifact.scheme for point in points}
    base = next((name for name in ("fp16", "fp32") if name in names), None)
    if base is None:
        return "", []
    bases = {
        (*_engine(point), point.key.prompt_tokens): point
        for point in points
        if point.artifact.scheme == base and {"ttft_ms", "decode_ms"} <= point.numbers.keys()
    }
    found = []
    for point in points:
        against = bases.get((*_engine(point), point.key.prompt_tokens))
        if against is None or not SCHEMES.get(point.artifact.scheme).quantized:
            continue
        values, replicates = {}, {}
        for name, figure in (("prefill", "ttft_ms"), ("decode", "decode_ms")):
            if figure in point.numbers:
                one, other = point.numbers[figure], against.numbers[figure]
                values[name] = 1 - one.median / other.median
                replicates[name] = _shares(one, other)
        found.append(
            Sample(
                name=f"pp{point.key.prompt_tokens}",
                x=float(point.key.prompt_tokens),
                values=values,
                replicates=replicates,
                rows=(*point.run_ids, *against.run_ids),
            )
        )
    return base, found


def _engine(point: Point) -> tuple[str, str]:
    return point.key.engine, point.key.engine_version


def _shares(one: Number, other: Number) -> tuple[float, ...]:
    return tuple(1 - a / b for a, b in zip(one.replicates, other.replicates, strict=False))


def published_savings() -> list[Sample]:
    """The same of the survey's Fig. 8."""
    prefill, decode = (
        {(row["series"], row["tokens"]): float(row["latency_ms"]) for row in published.table(name)}
        for name in ("quantization_prefill", "quantization_decode")
    )
    found = []
    for (series, tokens), value in prefill.items():
        base = prefill.get((_PUBLISHED_BASE, tokens))
        step, base_step = decode.get((series, tokens)), decode.get((_PUBLISHED_BASE, tokens))
        if series in _PUBLISHED_BITS and base and step and base_step:
            found.append(
                Sample(
                    name=f"pp{tokens:.0f}",
                    x=float(tokens),
                    values={
                        "prefill": 1 - value / base,
                        "decode": 1 - step / base_step,
                        "bits": float(_PUBLISHED_BITS[str(series)]),
                    },
                )
            )
    return found


def published_widths() -> list[Sample]:
    """Time that 4 bits save over what 3 bits save: fewer bits should save more, and do not."""
    saved: dict[str, dict[float, float]] = defaultdict(dict)
    for one in published_savings():
        saved[one.name][one.values["bits"]] = one.values["decode"]
    return [
        Sample(name, 0.0, {"regular": bits[4.0] - bits[3.0]})
        for name, bits in saved.items()
        if {3.0, 4.0} <= bits.keys()
    ]


def _findings(data: StudyData) -> list[Finding]:
    other, widths, found = published_savings(), published_widths(), []
    for device, points in data.by_device():
        for model, mine in lengths.by_model(points).items():
            # Of one engine each: what two engines differ by is not saved by quantization.
            for engine in dict.fromkeys(map(_engine, mine)):
                base, own = savings([one for one in mine if _engine(one) == engine])
                where = f"{model} on {data.names.device(device)}, {' '.join(engine)}"
                where += f", against {base or 'floats'}" + (" (emulated)" if device.emulated else "")
                found += [statement.test(own, where, other) for statement in STATEMENTS]
                found.append(_REGULAR.test(own, where, widths))
    return found


STUDY = Study(
    name="quantization",
    title="Quantization",
    question="What do fewer bits bring in the prefill and in each decode step, at different lengths?",
    survey="Fig. 8 (v3: Fig. 9)",
    template=_template,
    figures=_figures,
    table=lengths.table,
    findings=_findings,
    models="Phi-1.5",
    quant=("fp16", "8w", "8da8w", "4w", "8da4w"),
)
