"""The survey's figures about models, as Vega-Lite, from the catalogue's statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from toolkit.models.catalogue import statistics
from toolkit.models.catalogue.entry import Entry
from toolkit.models.catalogue.statistics import Row
from toolkit.report.label_places import BEFORE_STEPS, names, placed
from toolkit.report.theme import Theme

_HALF = 300
_WIDE = 640
_PIE = 150
_ACCURACY_HEIGHT = 240
# As many makers as there are colours that can be told apart; the others share one.
_MAKERS = 7
_OTHERS = "others"
_NAMES = {"commonsense": "commonsense", "problem_solving": "problem solving", "mathematics": "mathematics"}


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        title: what it shows.
        about: where its numbers come from.
        rows: its numbers, for tables and CSV.
        chart: draws it in a theme's colours.
    """

    title: str
    about: str
    rows: Callable[[Sequence[Entry]], list[Row]]
    chart: Callable[[Sequence[Entry], Theme], Any]


def _data(rows: Sequence[Row]) -> alt.InlineData:
    return alt.InlineData(values=[dict(row) for row in rows])


def _architecture_rows(entries: Sequence[Entry]) -> list[Row]:
    return [
        {"fact": name, **row}
        for name, (_, fact) in statistics.FACTS.items()
        for row in statistics.by_half_year(entries, fact)
    ]


def _architecture(entries: Sequence[Entry], theme: Theme) -> Any:
    charts = []
    for name, (title, fact) in statistics.FACTS.items():
        rows = statistics.by_half_year(entries, fact)
        colour = alt.Color(
            "value:N",
            title=None,
            sort=list(statistics.BINS.get(name, ())) or "ascending",
            scale=alt.Scale(range=list(theme.series)),
        )
        bars = (
            alt.Chart(_data(rows), title=title)
            .mark_bar()
            .encode(
                x=alt.X("half_year:O", title=None, axis=alt.Axis(labelAngle=-60)),
                y=alt.Y("models:Q", title="models", axis=alt.Axis(tickMinStep=1, tickCount=5)),
                color=colour,
            )
            .properties(width=_HALF - 60, height=180)
        )
        # The survey's pies: the same models, all half-years together.
        pie = (
            alt.Chart(_data(rows))
            .mark_arc(stroke=theme.background)
            .encode(theta=alt.Theta("sum(models):Q"), color=colour, order=alt.Order("value:N"))
            .properties(width=_PIE, height=_PIE)
        )
        charts.append(alt.hconcat(bars, pie, spacing=12).resolve_scale(color="shared"))
    return alt.concat(*charts, columns=1).resolve_scale(color="independent")


def _datasets(entries: Sequence[Entry], theme: Theme) -> Any:
    return (
        alt.Chart(_data(statistics.dataset_use(entries)))
        .mark_bar()
        .encode(
            y=alt.Y("dataset:N", title=None, sort="-x"),
            x=alt.X("sum(models):Q", title="models", axis=alt.Axis(tickMinStep=1)),
            color=alt.Color("year:O", title="released", scale=alt.Scale(range=list(theme.series))),
        )
        .properties(width=_WIDE - 120, height={"step": 22})
    )


def _scaling(entries: Sequence[Entry], theme: Theme) -> Any:
    rows = statistics.scaling(entries)
    sizes = [float(row["parameters"]) for row in rows] or [1e8]
    ends = [{"parameters": x, "tokens": x * statistics.CHINCHILLA_TOKENS} for x in (min(sizes), max(sizes))]
    parameters = alt.X(
        "parameters:Q", title="parameters (log)", scale=alt.Scale(type="log", nice=False, padding=20)
    )
    tokens = alt.Y(
        "tokens:Q", title="training tokens (log)", scale=alt.Scale(type="log", nice=False, padding=20)
    )
    # Engineers' G is a billion.
    billions = "replace(datum.label, 'G', 'B')"
    number = alt.Axis(format="~s", tickCount=6, labelExpr=billions, grid=False)
    points = (
        alt.Chart(_data(rows))
        .mark_point(filled=True, size=70, opacity=0.8, color=theme.series[0])
        .encode(
            x=parameters.axis(number),
            y=tokens.axis(number),
            shape=alt.condition("isValid(datum.commonsense)", alt.value("circle"), alt.value("diamond")),
        )
    )
    line = (
        alt.Chart(
            _data(ends), title=f"Dashed: {statistics.CHINCHILLA_TOKENS} tokens per parameter (Chinchilla)"
        )
        .mark_line(strokeDash=[6, 4], color=theme.bad, strokeWidth=2)
        .encode(x="parameters:Q", y="tokens:Q")
    )
    gained = (
        alt.Chart(_data([row for row in rows if "commonsense" in row]), title="Accuracy over training tokens")
        .mark_point(filled=True, opacity=0.7, color=theme.series[0])
        .encode(
            x=alt.X(
                "tokens:Q",
                title="training tokens (log)",
                axis=number,
                scale=alt.Scale(type="log", nice=False, padding=20),
            ),
            y=alt.Y(
                "commonsense:Q", title="commonsense", axis=alt.Axis(format="%"), scale=alt.Scale(zero=False)
            ),
            size=alt.Size(
                "parameters:Q",
                title="parameters",
                legend=alt.Legend(values=[2e8, 1e9, 3e9], labelExpr="datum.value / 1e9 + ' B'"),
            ),
        )
    )
    return alt.vconcat(
        alt.layer(line, points).properties(width=_WIDE - 60, height=300),
        gained.properties(width=_WIDE - 60, height=260),
    )


def _accuracy_rows(entries: Sequence[Entry]) -> list[Row]:
    found: list[Row] = []
    for group in statistics.GROUPS:
        rows = statistics.accuracies(entries, group)
        best = {row["model"] for row in statistics.frontier(rows)}
        found += [{"tasks": group, **row, "frontier": int(row["model"] in best)} for row in rows]
    return found


def _accuracy(entries: Sequence[Entry], theme: Theme) -> Any:
    charts = []
    for index, group in enumerate(statistics.GROUPS):
        rows = statistics.accuracies(entries, group)
        best = statistics.frontier(rows)
        x = alt.X("released:T", title=None, axis=alt.Axis(format="%Y-%m", tickCount=6))
        y = alt.Y("accuracy:Q", title=_NAMES[group], axis=alt.Axis(format="%"), scale=alt.Scale(zero=False))
        makers = _makers(entries)
        coloured: list[Row] = [
            {**row, "maker": row["organisation"] if row["organisation"] in makers else _OTHERS}
            for row in rows
        ]
        points = (
            alt.Chart(_data(coloured))
            .mark_point(filled=True, opacity=0.8)
            .encode(
                x=x,
                y=y,
                color=alt.Color(
                    "maker:N",
                    title="made by",
                    scale=alt.Scale(domain=[*makers, _OTHERS], range=list(theme.series)),
                ),
                size=alt.Size(
                    "parameters:Q",
                    title="parameters",
                    legend=alt.Legend(values=[2e8, 1e9, 3e9], labelExpr="datum.value / 1e9 + ' B'"),
                ),
            )
        )
        steps = (
            alt.Chart(_data(best))
            .mark_line(interpolate="step-after", strokeDash=[6, 4], color=theme.bad, strokeWidth=2)
            .encode(x=x, y=y)
        )
        ahead = {row["model"] for row in best}
        spots: list[Row] = [
            {
                **row,
                "x": row["released"],
                "y": row["accuracy"],
                "label": row["model"] if row["model"] in ahead else "",
            }
            for row in rows
        ]
        where = placed(spots, log=(False, False), size=(_WIDE - 60, _ACCURACY_HEIGHT), order=BEFORE_STEPS)
        named = names(alt.Chart(_data(where)), x, y, color=theme.text)
        # Two of them are nearly equal: every second name stands further on.
        lines: list[Row] = [
            {"model": name, "accuracy": values[index], "at": 90 + 90 * (number % 2)}
            for number, (name, values) in enumerate(statistics.BASELINES.items())
        ]
        base = alt.Chart(_data(lines)).encode(y=y)
        rules = base.mark_rule(strokeDash=[2, 3], color=theme.muted)
        labels = base.mark_text(align="left", dy=-5, fontSize=10, color=theme.muted).encode(
            x=alt.X("at:Q", scale=None), text="model:N"
        )
        layers = alt.layer(rules, labels, points, steps, named)
        charts.append(layers.properties(width=_WIDE - 60, height=_ACCURACY_HEIGHT))
    return alt.vconcat(*charts)


def _makers(entries: Sequence[Entry]) -> list[str]:
    """Organisations with the most models of published accuracy, the same in every panel."""
    counted = Counter(
        str(row["organisation"])
        for group in statistics.GROUPS
        for row in statistics.accuracies(entries, group)
    )
    return [name for name, _ in counted.most_common(_MAKERS)]


FIGURES: dict[str, Figure] = {
    "architecture": Figure(
        "Architecture by half-year",
        "As the survey's Fig. 1 and 2. A model counts where its release and the fact are known.",
        _architecture_rows,
        _architecture,
    ),
    "datasets": Figure(
        "Open data sets by year",
        "As the survey's Fig. 3. Models that learned from open data sets only.",
        lambda entries: statistics.dataset_use(entries),
        _datasets,
    ),
    "tokens": Figure(
        "Parameters and training tokens",
        "As the survey's Fig. 4. Circles have a published accuracy; parameters are unique ones.",
        lambda entries: statistics.scaling(entries),
        _scaling,
    ),
    "accuracy": Figure(
        "Accuracy over time",
        "As the survey's Fig. 5: published accuracies, nothing measured here. Red: the best so far; "
        "colours are makers.",
        _accuracy_rows,
        _accuracy,
    ),
}


def specification(figure: Figure, entries: Sequence[Entry], theme: Theme) -> dict[str, Any]:
    """A figure as Vega-Lite with its title and its numbers."""
    spec: dict[str, Any] = figure.chart(entries, theme).to_dict()
    spec.pop("config", None)
    spec["padding"] = 16
    return spec
