"""What studies over lengths share: latency against prompt tokens and against the step, a line per series."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from toolkit.report.curves import read_curves
from toolkit.report.study_content import Chart, Panel, Row, Table
from toolkit.studies import published
from toolkit.studies.data import Point, StudyData
from toolkit.studies.overview import shown

PROMPT, STEP = "prompt tokens", "decode step"
FIRST, EACH = "time to the first token, ms", "time per generated token, ms"

Name = Callable[[Point], str]


def charts(data: StudyData, points: Sequence[Point], name: Name) -> list[Chart]:
    """First token against the prompt's length, and each step of the longest generation.

    Series are in the same order in both, and so in the same colours.
    """
    points = sorted(points, key=name)
    return [
        Chart(
            "Time to the first token",
            "lines",
            {"x": PROMPT, "y": FIRST},
            _prefill(points, name),
            {"series": "series", "x": PROMPT, "y": FIRST, "low": "95 % from", "high": "95 % to"},
        ),
        Chart(
            "Each generated token",
            "lines",
            {"x": STEP, "y": EACH},
            _steps(data, points, name),
            {"series": "series", "x": STEP, "y": EACH},
        ),
    ]


def _prefill(points: Iterable[Point], name: Name) -> list[Row]:
    return [
        {
            "series": name(point),
            "x": float(point.key.prompt_tokens),
            "y": point.numbers["ttft_ms"].median,
            "low": point.numbers["ttft_ms"].low,
            "high": point.numbers["ttft_ms"].high,
        }
        for point in sorted(points, key=lambda one: one.key.prompt_tokens)
        if "ttft_ms" in point.numbers
    ]


def _steps(data: StudyData, points: Sequence[Point], name: Name) -> list[Row]:
    """Median time of each step, after the longest prompt of each series."""
    longest: dict[str, Point] = {}
    for point in points:
        other = longest.get(name(point))
        if other is None or _work(point) > _work(other):
            longest[name(point)] = point
    curves = read_curves(data.store, {series: one.run_ids for series, one in longest.items()})
    return [
        {"series": series, "x": float(step), "y": ms}
        for series, found in curves.items()
        for step, ms in zip(found.steps, found.ms, strict=True)
    ]


def _work(point: Point) -> tuple[int, int]:
    return point.key.generate_tokens, point.key.prompt_tokens


def published_panel(prefill: str, decode: str) -> Panel:
    """Two published tables in the same form."""
    drawn = []
    for title, name, x, y in (
        ("Time to the first token", prefill, PROMPT, FIRST),
        ("Each generated token", decode, "generated tokens", EACH),
    ):
        rows: list[Row] = [
            {"series": str(row["series"]), "x": float(row["tokens"]), "y": float(row["latency_ms"])}
            for row in published.table(name)
        ]
        drawn.append(Chart(title, "lines", {"x": x, "y": y}, rows, {"series": "series", "x": x, "y": y}))
    source = published.sources()[prefill]
    return Panel(source.device, str(source), drawn, published=True)


def by_model(points: Iterable[Point]) -> dict[str, list[Point]]:
    """Points of each model: lines of two models say nothing about one another."""
    found: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        found[point.model].append(point)
    return found


def table(data: StudyData) -> Table:
    """Every point."""
    return Table(
        (
            ("Model", False),
            ("Device", False),
            ("Engine", False),
            ("Context", True),
            ("Prompt", True),
            ("Generated", True),
            ("First token ms", True),
            ("ms per token", True),
            ("Peak MB", True),
            ("Artifact MB", True),
            ("Runs", True),
        ),
        [
            [
                point.model,
                data.names.device(point.device) + (" (emulated)" if point.device.emulated else ""),
                point.series,
                str(point.key.context_length),
                str(point.key.prompt_tokens),
                str(point.key.generate_tokens),
                *(shown(point.numbers.get(name)) for name in ("ttft_ms", "decode_ms", "peak_mb")),
                f"{point.artifact.size_bytes / 1e6:.1f}",
                str(len(point.run_ids)),
            ]
            for point in data.points
        ],
    )
