"""Which figures a report has, what they say, and the rows of their charts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from toolkit.report.configurations import Configuration, Measured, unique_labels
from toolkit.report.content import Content
from toolkit.report.lengths import OVER_LENGTHS, charts_over_lengths
from toolkit.report.quality import Quality

Row = Mapping[str, float | int | str]


@dataclass(frozen=True)
class Figure:
    """A figure: charts of the same things side by side, one panel per device or one for all artifacts.

    ``limit`` is how many configurations a panel shows at once; the others are on further pages.
    """

    key: str
    title: str
    text: str
    charts: tuple[str, ...]
    scope: Literal["device", "artifact"] = "device"
    limit: int = 24


@dataclass(frozen=True)
class Chart:
    """A chart's name for people and the columns of its table, by field of its rows."""

    title: str
    columns: Mapping[str, str]


_INTERVAL = {
    "value": "median",
    "low": "95 % from",
    "high": "95 % to",
    "repetitions": "repetitions",
    "runs": "runs",
}

_LENGTH = {"length": "tokens", **_INTERVAL}

CHARTS: Mapping[str, Chart] = {
    "prefill": Chart("Prefill, tokens per second", _INTERVAL),
    "decode": Chart("Decode, tokens per second", _INTERVAL),
    "curve": Chart("Time of each decode step", {"step": "decode step", "ms": "ms per token"}),
    "memory": Chart("Peak memory of the process, MB", {"part": "part", "mb": "MB"}),
    "first_token": Chart("Time to first token over size, ms", {"size_mb": "artifact MB", **_INTERVAL}),
    "per_token": Chart("Time per generated token over size, ms", {"size_mb": "artifact MB", **_INTERVAL}),
    "prefill_energy": Chart("Energy per prompt token, joules", _INTERVAL),
    "decode_energy": Chart("Energy per generated token, joules", _INTERVAL),
    "prefill_over_prompt": Chart("Prefill over prompt tokens, tokens per second", _LENGTH),
    "decode_over_prompt": Chart("Decode over prompt tokens, tokens per second", _LENGTH),
    "prefill_over_depth": Chart("Prefill over depth, tokens per second", _LENGTH),
    "decode_over_depth": Chart("Decode over depth, tokens per second", _LENGTH),
    "prefill_over_context": Chart("Prefill over the context's length, tokens per second", _LENGTH),
    "decode_over_context": Chart("Decode over the context's length, tokens per second", _LENGTH),
    "divergence": Chart(
        "KL divergence over size",
        {"size_mb": "artifact MB", "value": "mean KL, nats per position", "positions": "positions"},
    ),
    "agreement": Chart(
        "Same top token over size",
        {"size_mb": "artifact MB", "value": "same top token, %", "positions": "positions"},
    ),
}

FIGURES = (
    Figure(
        "speed",
        "Prefill and decode",
        "Tokens per second; longer is faster. Bars are medians over all runs of a configuration, "
        "whiskers the 95 % bootstrap interval of the median. Where whiskers overlap, do not rank.",
        ("prefill", "decode"),
    ),
    Figure(
        "lengths",
        "Over lengths",
        "Speed over the prompt, over the tokens already in the cache, and over the context that the artifact "
        "was made for. Each line is one configuration under the chosen conditions, of which one alone "
        "changes along the axis.",
        tuple(OVER_LENGTHS),
        limit=8,
    ),
    Figure(
        "steps",
        "Each decode step",
        "Median time of each generated token after the first, over the repetitions. A line that rises "
        "shows the growing context; a jump shows another frequency, another core or another process.",
        ("curve",),
        limit=8,
    ),
    Figure(
        "memory",
        "Memory",
        "Peak memory of the runner's process: what was resident once the model was loaded, and what came on "
        "top while running, such as KV cache, activations and weights that are first touched then.",
        ("memory",),
    ),
    Figure(
        "latency",
        "Latency against size",
        "Time to the first token and per generated token over the artifact's size on disk. Lower and "
        "further left is better. Whiskers are 95 % bootstrap intervals of the median.",
        ("first_token", "per_token"),
    ),
    Figure(
        "energy",
        "Energy",
        "Joules per token above the device's idle draw, where its battery gauge could be read. Bars are "
        "medians over runs, whiskers the 95 % bootstrap interval of the median. Shorter is better.",
        ("prefill_energy", "decode_energy"),
    ),
    Figure(
        "quality",
        "Quality against size",
        "Agreement with the fp32 transformers model on a fixed prompt set, measured once by the conversion "
        "and kept in the manifest. It belongs to the artifact, not to a device, and is no test of ability.",
        ("divergence", "agreement"),
        scope="artifact",
        limit=40,
    ),
)


def _measured(name: str) -> Callable[[Configuration], list[Row]]:
    def rows(configuration: Configuration) -> list[Row]:
        found = configuration.measured.get(name)
        return [] if found is None else [_row(found, found.median, found.low, found.high)]

    return rows


def _row(measured: Measured, value: float, low: float, high: float) -> dict[str, float | int | str]:
    return {
        "value": value,
        "low": low,
        "high": high,
        "repetitions": measured.repetitions,
        "runs": measured.runs,
    }


def _milliseconds(name: str, tokens: Callable[[Configuration], int]) -> Callable[[Configuration], list[Row]]:
    """Rates as the time of so many tokens; a higher rate is a shorter time, so the limits change places."""

    def rows(configuration: Configuration) -> list[Row]:
        rate = configuration.measured.get(name)
        if rate is None:
            return []
        times = (tokens(configuration) * 1e3 / value for value in (rate.median, rate.high, rate.low))
        return [{**_row(rate, *times), "size_mb": configuration.artifact.size_bytes / 1e6}]

    return rows


def _memory(configuration: Configuration) -> list[Row]:
    memory = configuration.memory
    if memory is None:
        return []
    # The two are read apart: a peak a page below the load is the load.
    later = max(0.0, memory.peak_bytes - memory.after_load_bytes)
    total = (memory.after_load_bytes + later) / 1e6
    return [
        {"part": "after load", "mb": memory.after_load_bytes / 1e6, "order": 0, "total": total},
        {"part": "added while running", "mb": later / 1e6, "order": 1, "total": total},
    ]


def _curve(configuration: Configuration) -> list[Row]:
    curve = configuration.curve
    if curve is None:
        return []
    return [{"step": step, "ms": ms} for step, ms in zip(curve.steps, curve.ms, strict=True)]


CONFIGURATION_ROWS: Mapping[str, Callable[[Configuration], Sequence[Row]]] = {
    "prefill": _measured("prefill"),
    "decode": _measured("decode"),
    "curve": _curve,
    "memory": _memory,
    "first_token": _milliseconds("prefill", lambda configuration: configuration.key.prompt_tokens),
    "per_token": _milliseconds("decode", lambda configuration: 1),
    "prefill_energy": _measured("prefill_energy"),
    "decode_energy": _measured("decode_energy"),
}


def _quality(quality: Quality, value: float) -> list[Row]:
    # Points only: a conversion's parity is one deterministic pass and has no interval.
    return [
        {
            "value": value,
            "low": value,
            "high": value,
            "size_mb": quality.artifact.size_bytes / 1e6,
            "positions": quality.positions,
        }
    ]


QUALITY_ROWS: Mapping[str, Callable[[Quality], Sequence[Row]]] = {
    "divergence": lambda quality: _quality(quality, quality.mean_kl),
    "agreement": lambda quality: _quality(quality, 100 * quality.top1_agreement),
}


def figures_of(content: Content) -> list[Figure]:
    """The figures for which the content has anything to show."""
    shown = {
        chart
        for configuration in content.configurations
        for chart, rows in CONFIGURATION_ROWS.items()
        if rows(configuration)
    }
    if content.qualities:
        shown |= set(QUALITY_ROWS)
    labels = unique_labels(content.configurations, content.names)
    shown |= charts_over_lengths(content.configurations, labels)
    return [
        replace(figure, charts=tuple(chart for chart in figure.charts if chart in shown))
        if figure.key == "lengths"
        else figure
        for figure in FIGURES
        if shown.intersection(figure.charts)
    ]
