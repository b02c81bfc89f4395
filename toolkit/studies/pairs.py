"""Findings about pairs of models: a larger one that is faster, two of one architecture, two ways to count."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from toolkit.analysis.findings import Finding, Sample, verdict_of
from toolkit.analysis.noise import NoiseFloor
from toolkit.analysis.statistics import LEVEL, percentile_interval
from toolkit.analysis.verdicts import widened
from toolkit.studies.data import Point

# Two models whose sizes differ by less are no example of a larger and a smaller one.
_LARGER = 1.1
# Equal architectures may differ by this much before size and shape explain less than noise.
_EQUAL = 0.05
_NO_NOISE = (
    "nobody knows how far equal runs are apart: none was repeated, or the few that were came out equal; "
    "see --rounds"
)


def larger_but_faster(
    samples: Sequence[Sample],
    name: str,
    noise: NoiseFloor | None,
    where: str,
    others: Sequence[Sample] = (),
) -> Finding:
    """Whether some model has more parameters than another and is faster, beyond what noise would do.

    Of all pairs the one that is furthest apart is tested, at a level that takes into account how many there
    were to choose from.

    Args:
        samples: what was measured.
        name: of the value.
        noise: how far equal runs are apart; None where that is not known.
        where: the samples in words.
        others: the published samples.
    """
    text = "A model with more parameters can be faster to its first token than a smaller one"
    source = "survey section 4.1, insight on latency"
    furthest = _furthest(others, name)
    said = None if furthest is None else f"{_pair_in_words(*furthest, name)}; their spread is not stated"
    pairs = _pairs(samples, name)
    if not pairs:
        why = "no two models whose parameters differ by 10 % or more"
        return Finding(text, source, where, "not enough data", "-", why, published=said)
    found = _furthest(samples, name)
    if found is None:
        why = f"in all of {len(pairs)} pairs the larger one was slower"
        rows = tuple(dict.fromkeys(row for pair in pairs for one in pair for row in one.rows))
        return Finding(text, source, where, "contradicted", "-", why, rows, said)
    small, large = found
    rows, effect = (*small.rows, *large.rows), _pair_in_words(small, large, name)
    if noise is None:
        return Finding(text, source, where, "not enough data", effect, _NO_NOISE, rows, said)
    drawn = [
        one / other
        for one, other in zip(
            small.replicates.get(name) or [small.values[name]],
            large.replicates.get(name) or [large.values[name]],
            strict=False,
        )
    ]
    interval = percentile_interval(drawn, 1 - (1 - LEVEL) / len(pairs))
    verdict = verdict_of(interval, 1 + noise.relative, above=True)
    return Finding(
        text,
        source,
        where,
        # One pair that is not far enough apart does not show that there is none.
        "not enough data" if verdict == "contradicted" else verdict,
        effect,
        f"the furthest apart of {len(pairs)} pairs; equal runs were up to {noise.relative:.1%} apart",
        rows,
        said,
        small.values[name] / large.values[name],
        interval.low,
        interval.high,
    )


def _pairs(samples: Sequence[Sample], name: str) -> list[tuple[Sample, Sample]]:
    """(smaller, larger) of all pairs whose sizes really differ."""
    usable = [one for one in samples if name in one.values]
    return [(small, large) for small in usable for large in usable if large.x >= _LARGER * small.x]


def _furthest(samples: Sequence[Sample], name: str) -> tuple[Sample, Sample] | None:
    """The pair whose larger model is faster by most; None when it never is."""
    faster = [pair for pair in _pairs(samples, name) if pair[1].values[name] < pair[0].values[name]]
    return max(faster, key=lambda pair: pair[0].values[name] / pair[1].values[name], default=None)


def _pair_in_words(small: Sample, large: Sample, name: str) -> str:
    return (
        f"{large.name} has {large.x / small.x - 1:.1%} more parameters than {small.name} and takes "
        f"{1 - large.values[name] / small.values[name]:.1%} less time"
    )


def equal_architectures(
    points: Sequence[Point], noise: Mapping[str, NoiseFloor | None], where: str
) -> Finding:
    """How far apart two models of one architecture are, which no architecture explains (A/A).

    Args:
        points: what was measured.
        noise: by the numbers to compare, how far equal runs are apart; None where that is not known.
        where: the points in words.
    """
    text = f"Two models of one architecture differ by less than {_EQUAL:.0%}"
    source = "the noise floor that the survey does not give"
    said = (
        "contradicted: Phi-1 and Phi-1.5 are equal but for their weights, and 12.8 % apart to the first "
        "token, 23.3 % per generated token"
    )
    pairs = [
        (one, other)
        for one, other in combinations(points, 2)
        if one.model != other.model and _same_architecture(one, other)
    ]
    if not pairs:
        why = "no two models of equal architecture, such as Phi-1 and Phi-1.5"
        return Finding(text, source, where, "not enough data", "-", why, published=said)
    gaps = []
    for one, other in pairs:
        for name, floor in noise.items():
            if name in one.numbers and name in other.numbers:
                first, second = one.numbers[name], other.numbers[name]
                drawn = [
                    max(a, b) / min(a, b) - 1
                    for a, b in zip(first.replicates, second.replicates, strict=False)
                ]
                gap = max(first.median, second.median) / min(first.median, second.median) - 1
                interval = percentile_interval(drawn)
                if floor is not None:
                    interval = widened(interval, gap, floor.relative, first.runs, second.runs)
                gaps.append((gap, interval, name, one, other, floor))
    if not gaps:
        return Finding(text, source, where, "not enough data", "-", "they were not timed", published=said)
    gap, interval, name, one, other, floor = max(gaps, key=lambda found: found[0])
    words = {"ttft_ms": "to the first token", "decode_ms": "per generated token", "peak_mb": "of memory"}
    return Finding(
        text,
        source,
        where,
        "not enough data" if floor is None else verdict_of(interval, _EQUAL, above=False),
        f"{one.model} and {other.model}: {gap:.1%} apart {words.get(name, name)} "
        f"(95 %: {interval.low:.1%} to {interval.high:.1%})",
        f"the largest gap of {len(pairs)} pairs" + ("" if floor else f"; {_NO_NOISE}"),
        (*one.run_ids, *other.run_ids),
        said,
        gap,
        interval.low,
        interval.high,
    )


def _same_architecture(one: Point, other: Point) -> bool:
    if one.entry is None or other.entry is None or one.series != other.series:
        return False
    return one.entry.architecture == other.entry.architecture and (
        one.artifact.unique_parameters == other.artifact.unique_parameters
    )


def counting(points: Iterable[Point]) -> Finding:
    """Whether the count that is taken, unique or stored, decides which model is the larger one."""
    text = "It makes no difference whether a tied vocabulary counts once or twice"
    source = "survey Fig. 7, which counts it twice for BLOOM and Qwen1.5-0.5B and once for the others"
    said = (
        "contradicted: Qwen1.5-0.5B (464 M unique, 620 M as published) and Qwen2-0.5B (494 M) change places"
    )
    points = list(points)
    counted = {
        point.model: (point.artifact.unique_parameters, point.artifact.stored_parameters) for point in points
    }
    turned = [
        (one, other)
        for one, other in combinations(counted, 2)
        if (counted[one][0] - counted[other][0]) * (counted[one][1] - counted[other][1]) < 0
    ]
    if len(counted) < 2:
        return Finding(
            text,
            source,
            "all models measured",
            "not enough data",
            "-",
            "fewer than two models",
            published=said,
        )
    behind = {model for pair in turned for model in pair} or counted
    rows = tuple(dict.fromkeys(run for one in points if one.model in behind for run in one.run_ids))
    if not turned:
        why = f"the order of {len(counted)} models is the same by both counts"
        return Finding(text, source, "all models measured", "supported", "-", why, rows, published=said)
    named = ", ".join(f"{one} and {other}" for one, other in turned[:4])
    more = f" and {len(turned) - 4} more" if len(turned) > 4 else ""
    return Finding(
        text,
        source,
        "all models measured",
        "contradicted",
        f"{len(turned)} pairs of {math.comb(len(counted), 2)} change places",
        f"{named}{more}",
        rows,
        published=said,
        value=float(len(turned)),
    )
