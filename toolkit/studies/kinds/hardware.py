"""`hardware`: the same artifact on several devices, over prompt lengths and decode steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import mean, pstdev
from typing import Any

from toolkit.analysis.findings import Finding, Middle, Sample, Statement, linearity
from toolkit.report.configurations import shared_words
from toolkit.report.study_content import Panel, StudyFigure
from toolkit.studies import lengths, published
from toolkit.studies.data import Point, StudyData
from toolkit.studies.leaderboard import phones_figure
from toolkit.studies.request import StudyRequest
from toolkit.studies.study import Study, Subject
from toolkit.studies.template import profiled

# The survey's, and one more: a test needs six.
PROMPTS = [10, 20, 30, 40, 50, 60]
_SOURCE = "survey section 4.2.2, insights on hardware"
# Points that were read from the same curve agree to the last digit.
_SAME_MS = 0.02
# Of a curve that an averaging mistake made, the corrected values vary by no more.
_FLAT = 0.02

_LINEAR = Statement(
    text="The time to the first token is linear in the prompt's length",
    source=_SOURCE,
    names=("ttft_ms",),
    statistic=linearity("ttft_ms"),
    limit=0.95,
    above=True,
    of="prompt lengths",
    effect="R2 {:.3f}".format,
)


_PREFILL = Statement(
    text="The faster device is further ahead in the prefill than in decoding",
    source=_SOURCE,
    names=("prefill", "decode"),
    statistic=Middle(lambda one: one["prefill"] / one["decode"]),
    limit=1.0,
    above=True,
    of="prompt lengths",
    effect="{:.2f}".format,
    unit=" times as far ahead in the prefill",
)


def _template(request: StudyRequest, subjects: Sequence[Subject]) -> Mapping[str, Any]:
    return profiled(request, subjects, profile={"prompt_tokens": PROMPTS, "generate_tokens": 50})


def _groups(data: StudyData) -> dict[tuple[str, str, bool], list[Point]]:
    """Points of one model, engine and scheme on all real devices, or on all emulated ones."""
    found: dict[tuple[str, str, bool], list[Point]] = defaultdict(list)
    for point in data.points:
        found[point.model, point.series, point.device.emulated].append(point)
    return dict(sorted(found.items(), key=lambda pair: pair[0][2]))


def _figures(data: StudyData) -> list[StudyFigure]:
    own = [
        Panel(
            f"{model}, {series}" + (" on emulated devices" if emulated else ""),
            f"Conditions: {shared_words(one.workload for one in points)}; prompts as on the axis.",
            lengths.charts(data, points, lambda point: data.names.device(point.device)),
            emulated=emulated,
        )
        for (model, series, emulated), points in _groups(data).items()
    ]
    other = lengths.published_panel("hardware_prefill", "hardware_decode")
    text = (
        "A line per device; those in one panel ran the same artifact under the same conditions. Emulated "
        "devices are never beside real ones."
    )
    return [StudyFigure("hardware", "Latency by device", text, [*own, other]), phones_figure(data)]


def advantages(points: Sequence[Point]) -> tuple[str, str, list[Sample]]:
    """The fastest and the slowest device, and how far ahead the one is at each prompt length."""
    times: dict[str, list[float]] = defaultdict(list)
    for point in points:
        if {"ttft_ms", "decode_ms"} <= point.numbers.keys():
            times[point.device.key].append(point.numbers["ttft_ms"].median)
    ranked = sorted(times, key=lambda key: mean(times[key]))
    if len(ranked) < 2:
        return "", "", []
    fast, slow = (
        {one.key.prompt_tokens: one for one in points if one.device.key == key and "ttft_ms" in one.numbers}
        for key in (ranked[0], ranked[-1])
    )
    found = []
    for tokens in sorted(fast.keys() & slow.keys()):
        ahead, behind = fast[tokens], slow[tokens]
        pairs = {
            name: (ahead.numbers[figure], behind.numbers[figure])
            for name, figure in (("prefill", "ttft_ms"), ("decode", "decode_ms"))
            if figure in ahead.numbers and figure in behind.numbers
        }
        found.append(
            Sample(
                name=f"pp{tokens}",
                x=float(tokens),
                values={name: slower.median / faster.median for name, (faster, slower) in pairs.items()},
                replicates={
                    name: [b / a for a, b in zip(faster.replicates, slower.replicates, strict=False)]
                    for name, (faster, slower) in pairs.items()
                },
                rows=(*ahead.run_ids, *behind.run_ids),
            )
        )
    return ranked[0], ranked[-1], found


def published_advantages() -> list[Sample]:
    """The same of the survey's Fig. 9: Jetson over Meizu, where both were measured."""
    prefill, decode = (
        {(str(row["series"]), row["tokens"]): float(row["latency_ms"]) for row in published.table(name)}
        for name in ("hardware_prefill", "hardware_decode")
    )
    jetson, meizu = (
        next(series for series, _ in prefill if word in series.lower()) for word in ("jetson", "meizu")
    )
    return [
        Sample(
            name=f"pp{tokens:.0f}",
            x=float(tokens),
            values={
                "prefill": prefill[meizu, tokens] / prefill[jetson, tokens],
                "decode": decode[meizu, tokens] / decode[jetson, tokens],
                "ttft_ms": prefill[meizu, tokens],
            },
        )
        for series, tokens in prefill
        if series == jetson
        and all((meizu, tokens) in one and (jetson, tokens) in one for one in (prefill, decode))
    ]


def same_curve() -> Finding:
    """Whether the survey's Jetson curves of BLOOM-1B1 are those of Phi-1.5 with 4 bits."""
    apart, points = 0.0, 0
    for name, other in (
        ("hardware_prefill", "quantization_prefill"),
        ("hardware_decode", "quantization_decode"),
    ):
        known = {
            row["tokens"]: float(row["latency_ms"])
            for row in published.table(other)
            if row["series"] == "Q4_K_M"
        }
        for row in published.table(name):
            if "jetson" in str(row["series"]).lower() and row["tokens"] in known:
                apart = max(apart, abs(float(row["latency_ms"]) - known[row["tokens"]]))
                points += 1
    return Finding(
        "The published Jetson curves are those of BLOOM-1B1",
        "survey Fig. 9 (v3: Fig. 10)",
        "published numbers",
        "contradicted" if points and apart <= _SAME_MS else "not enough data",
        f"at most {apart:.2f} ms between them and Phi-1.5 Q4_K_M of Fig. 8, over {points} points",
        "two models do not agree to the hundredth of a millisecond: one of the figures has the other's data",
        value=apart,
    )


def steps_divided() -> Finding:
    """Whether the rise of the Meizu's decode time is what dividing n - 1 steps by n makes of a constant."""
    rows = [
        (float(row["tokens"]), float(row["latency_ms"]))
        for row in published.table("hardware_decode")
        if "meizu" in str(row["series"]).lower() and float(row["tokens"]) >= 3
    ]
    corrected = [ms * n / (n - 1) for n, ms in rows]
    plain = [ms for _, ms in rows]
    variation = pstdev(corrected) / mean(corrected)
    return Finding(
        "Decoding on the Meizu slows down with the number of tokens (DVFS)",
        "survey section 4.2.2",
        "published numbers",
        "contradicted" if variation < _FLAT < pstdev(plain) / mean(plain) else "not enough data",
        f"times n / (n - 1) they vary by {variation:.1%}, as published by {pstdev(plain) / mean(plain):.1%}",
        "as if the time of n - 1 decode steps was divided by n; here every step is timed, and rates are over "
        "the steps timed",
        value=variation,
    )


def _findings(data: StudyData) -> list[Finding]:
    other, found = published_advantages(), []
    for (model, series, emulated), points in _groups(data).items():
        names = {point.device.key: data.names.device(point.device) for point in points}
        fast, slow, own = advantages(points)
        what = f"{model}, {series}" + (" (emulated)" if emulated else "")
        where = f"{what}: {names[fast]} ahead of {names[slow]}" if own else f"{what}: one device"
        found.append(_PREFILL.test(own, where, other))
        for key, name in names.items():
            mine = [
                Sample(
                    name=f"pp{point.key.prompt_tokens}",
                    x=float(point.key.prompt_tokens),
                    values={"ttft_ms": point.numbers["ttft_ms"].median},
                    replicates={"ttft_ms": point.numbers["ttft_ms"].replicates},
                    rows=point.run_ids,
                )
                for point in points
                if point.device.key == key and "ttft_ms" in point.numbers
            ]
            found.append(_LINEAR.test(mine, f"{what} on {name}", other))
    return [*found, same_curve(), steps_divided()]


STUDY = Study(
    name="hardware",
    title="Hardware",
    question="How do devices compare with the same artifact, in the prefill and in each decode step?",
    survey="Fig. 9 (v3: Fig. 10 and 11)",
    template=_template,
    figures=_figures,
    table=lengths.table,
    findings=_findings,
    models="BLOOM-1B1",
    protocol="survey-phones",
    fewest_devices=2,
)
