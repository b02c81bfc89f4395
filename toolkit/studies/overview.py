"""What studies over many models share: scatters against parameters, and tables."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.analysis.findings import Sample
from toolkit.report.study_content import Chart, Panel, Row, Table
from toolkit.studies import published
from toolkit.studies.data import Number, Point, StudyData

PARAMETERS = "unique parameters (log)"
AUTHORS_COUNT = "parameters, llama.cpp's count (log)"


def panels(data: StudyData, charts: Sequence[tuple[str, str, str]]) -> list[Panel]:
    """One panel for each device and set of conditions.

    Args:
        data: what was measured.
        charts: (title, number, its axis' title) of each chart.
    """
    found = []
    for device, workload, points in data.panels():
        drawn = [
            Chart(title, "scatter", {"x": PARAMETERS, "y": axis}, _rows(points, name), _columns(axis))
            for title, name, axis in charts
        ]
        found.append(
            Panel(
                title=data.names.device(device),
                caption=f"Conditions: {workload}.",
                charts=drawn,
                emulated=device.emulated,
            )
        )
    return found


def published_panel(charts: Sequence[tuple[str, str, str]]) -> Panel:
    """The survey's Fig. 7 in the same form; ``charts`` name columns of its table."""
    drawn = [
        Chart(
            title,
            "scatter",
            {"x": AUTHORS_COUNT, "y": axis},
            [
                {
                    "label": str(row["model"]),
                    "family": family(str(row["model"])),
                    "series": "llama.cpp 4 bits",
                    "x": 1e6 * float(row["params_M_llama_cpp"]),
                    "y": float(row[column]),
                }
                for row in published.table("overview")
            ],
            {"label": "model", "x": "parameters", "y": axis},
        )
        for title, column, axis in charts
    ]
    source = published.sources()["overview"]
    return Panel(source.device, str(source), drawn, published=True)


def family(model: str) -> str:
    """The family of a published name: what stands before the size."""
    return model.rpartition("-")[0] or model


def _rows(points: Sequence[Point], name: str) -> list[Row]:
    return [
        {
            "label": point.model,
            "family": point.family,
            "series": point.series,
            "x": float(point.artifact.unique_parameters),
            "y": point.numbers[name].median,
            "low": point.numbers[name].low,
            "high": point.numbers[name].high,
        }
        for point in points
        if name in point.numbers
    ]


def _columns(axis: str) -> dict[str, str]:
    return {
        "label": "model",
        "series": "engine and quantization",
        "x": "unique parameters",
        "y": axis,
        "low": "95 % from",
        "high": "95 % to",
    }


def table(data: StudyData) -> Table:
    """Every point, with what the survey published of the model beside it, as another device's."""
    said = {str(row["model"]).casefold(): row for row in published.table("overview")}
    rows = []
    for point in data.points:
        other = said.get(point.model.casefold(), {})
        rows.append(
            [
                point.model,
                f"{point.artifact.unique_parameters / 1e6:.1f}",
                f"{point.artifact.stored_parameters / 1e6:.1f}",
                "random" if point.random_weights else "real",
                data.names.device(point.device) + (" (emulated)" if point.device.emulated else ""),
                point.series,
                f"pp{point.key.prompt_tokens} tg{point.key.generate_tokens} ctx{point.key.context_length}",
                *(shown(point.numbers.get(name)) for name in ("ttft_ms", "decode_ms", "peak_mb")),
                *(
                    f"{float(other[name]):.4g}" if name in other else "-"
                    for name in ("first_token_ms_prompt50", "decode_ms_per_token", "memory_mb_ctx2048")
                ),
            ]
        )
    return Table(
        (
            ("Model", False),
            ("Unique M", True),
            ("Stored M", True),
            ("Weights", False),
            ("Device", False),
            ("Engine", False),
            ("Work", False),
            ("First token ms", True),
            ("ms per token", True),
            ("Peak MB", True),
            ("Jetson, published: first token ms", True),
            ("ms per token", True),
            ("MB", True),
        ),
        rows,
    )


def shown(number: Number | None) -> str:
    """A number with its interval; a dash where it was not measured."""
    if number is None:
        return "-"
    if number.low == number.high:
        return f"{number.median:.4g}"
    return f"{number.median:.4g} ({number.low:.4g} to {number.high:.4g})"


def published_samples(columns: dict[str, str]) -> list[Sample]:
    """The survey's Fig. 7 as a test takes it; ``columns`` by the name of the value."""
    return [
        Sample(
            name=str(row["model"]),
            x=1e6 * float(row["params_M_llama_cpp"]),
            values={name: float(row[column]) for name, column in columns.items()},
        )
        for row in published.table("overview")
    ]
