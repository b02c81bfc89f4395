"""The charts of studies, as Vega-Lite with their rows in them; colours and widths come from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt

from toolkit.report import score_charts
from toolkit.report.label_places import Place, places
from toolkit.report.study_content import Chart, Row

Spec = dict[str, Any]

_ROW = 32
# Names beside points would only cover each other on a phone's screen; the table has them.
_ROOM_FOR_NAMES = "width < 420 ? 0 : 1"
_LOOKS: Mapping[Place, dict[str, Any]] = {
    "right": {"align": "left", "dx": 8},
    "above": {"align": "center", "dy": -13},
    "below": {"align": "center", "dy": 15},
    "left": {"align": "right", "dx": -8},
}


def specification(chart: Chart, *, emulated: bool = False, width: int | str = "container") -> Spec:
    """A chart as Vega-Lite.

    Args:
        chart: what to draw.
        emulated: hollow marks, so that nobody takes them for measurements even in a cropped picture.
        width: pixels, or that of the element it is drawn in.
    """
    drawn = KINDS[chart.kind](chart.rows, chart.options, emulated).properties(width=width)
    spec: Spec = drawn.to_dict()
    # Altair's own look; ours comes from the theme.
    spec.pop("config", None)
    return spec


def scatter(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """Points over the parameters; rows: label, family, series, x, y, and low and high where there are any."""
    where = places([(float(row["x"]), float(row["y"]), str(row["label"])) for row in rows])
    data = [{**row, "place": place} for row, place in zip(rows, where, strict=True)]
    base = alt.Chart(alt.InlineData(values=data))
    x = alt.X(
        "x:Q",
        title=options["x"],
        # Engineers' G is a billion.
        axis=alt.Axis(tickCount=5, format="~s", labelExpr="replace(datum.label, 'G', 'B')"),
        scale=alt.Scale(type="log", nice=False, padding=30),
    )
    y = alt.Y(
        "y:Q",
        title=options["y"],
        axis=alt.Axis(tickCount=5, format="~g"),
        scale=alt.Scale(type="log", nice=False, padding=24),
    )
    series = list(dict.fromkeys(str(row["series"]) for row in data))
    families = list(dict.fromkeys(str(row["family"]) for row in data))
    encodings: dict[str, Any] = {
        "x": x,
        "y": y,
        "color": alt.Color(
            "family:N", title=None, scale=alt.Scale(domain=families), legend=_legend(families)
        ),
        "shape": alt.Shape("series:N", title=None, scale=alt.Scale(domain=series), legend=_legend(series)),
        "tooltip": [
            alt.Tooltip("label:N", title="model"),
            alt.Tooltip("series:N", title="series"),
            alt.Tooltip("x:Q", title=options["x"], format=".4~g"),
            alt.Tooltip("y:Q", title=options["y"], format=".4~g"),
        ],
    }
    look: dict[str, Any] = {"filled": not emulated, "size": 70, "strokeWidth": 2}
    layers = [base.mark_point(**look).encode(**encodings)]
    if all("low" in row and "high" in row for row in data):
        layers.insert(0, base.mark_rule(strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q"), y2="high:Q"))
    if len(series) == 1:
        layers += [
            base.mark_text(fontSize=11, opacity=alt.ExprRef(_ROOM_FOR_NAMES), **look)
            .encode(x=x, y=y, text="label:N")
            .transform_filter(f"datum.place === '{place}'")
            for place, look in _LOOKS.items()
            # Vega warns of a layer that has nothing to draw.
            if place in where
        ]
    return alt.layer(*layers).properties(height=320)


def lines(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """A line per series; rows: series, x, y, and low and high where there are any."""
    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    series = list(dict.fromkeys(str(row["series"]) for row in rows))
    legend = alt.Legend(orient="bottom", columns=1, labelLimit=600, symbolType="stroke", symbolSize=400)
    whole: dict[str, Any] = {"tickMinStep": 1} if options.get("whole", True) else {}
    x = alt.X("x:Q", title=options["x"], axis=alt.Axis(tickCount=8, **whole), scale=alt.Scale(zero=False))
    y = alt.Y(
        "y:Q", title=options["y"], axis=alt.Axis(tickCount=6), scale=alt.Scale(zero=options.get("zero", True))
    )
    colour = alt.Color("series:N", sort=series, title=None, legend=legend)
    drawn = base.mark_line(strokeWidth=2, point=True, opacity=0.6 if emulated else 1).encode(
        x=x,
        y=y,
        color=colour,
        # Repeats what the colour says; a legend of its own would only say it twice.
        strokeDash=alt.StrokeDash("series:N", sort=series, legend=None),
        tooltip=[
            alt.Tooltip("series:N"),
            alt.Tooltip("x:Q", title=options["x"], format=".4~g"),
            alt.Tooltip("y:Q", title=options["y"], format=".4~g"),
        ],
    )
    if rows and all("low" in row and "high" in row for row in rows):
        spread = base.mark_rule(strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q"), y2="high:Q", color=colour)
        return alt.layer(spread, drawn).properties(height=280)
    return drawn.properties(height=280)


def stacked(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """Bars of parts; rows: label, part, value. With the option `share` each bar is 100 %."""
    base = alt.Chart(alt.InlineData(values=[{**row, "order": index} for index, row in enumerate(rows)]))
    labels = list(dict.fromkeys(str(row["label"]) for row in rows))
    parts = list(dict.fromkeys(str(row["part"]) for row in rows))
    share = bool(options.get("share"))
    percent: dict[str, Any] = {"format": "%"} if share else {}
    x = alt.X(
        "value:Q",
        title=options["x"],
        stack="normalize" if share else "zero",
        axis=alt.Axis(tickCount=5, **percent),
    )
    drawn = base.mark_bar(height={"band": 0.7}, fillOpacity=0.3 if emulated else 1, strokeWidth=1).encode(
        y=alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(labelLimit=200)),
        x=x,
        color=alt.Color("part:N", scale=alt.Scale(domain=parts), title=None, legend=_legend(parts)),
        order="order:O",
        tooltip=["label:N", "part:N", alt.Tooltip("value:Q", format=".4~g")],
    )
    return drawn.properties(height=_ROW * len(labels))


def bars(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """Bars with intervals; rows: label, series, value, and low and high where there are any."""
    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    labels = list(dict.fromkeys(str(row["label"]) for row in rows))
    series = list(dict.fromkeys(str(row["series"]) for row in rows))
    y = alt.Y("label:N", sort=labels, title=None, axis=alt.Axis(labelLimit=220))
    offset = alt.YOffset("series:N", sort=series)
    x = alt.X("value:Q", title=options["x"], axis=alt.Axis(tickCount=5), scale=alt.Scale(zero=True))
    drawn = base.mark_bar(fillOpacity=0.3 if emulated else 1).encode(
        y=y,
        yOffset=offset,
        x=x,
        color=alt.Color("series:N", scale=alt.Scale(domain=series), title=None, legend=_legend(series)),
        tooltip=["label:N", "series:N", alt.Tooltip("value:Q", title=options["x"], format=".4~g")],
    )
    layers = [drawn]
    if rows and all("low" in row and "high" in row for row in rows):
        layers.append(
            base.mark_rule(strokeWidth=2).encode(y=y, yOffset=offset, x=alt.X("low:Q"), x2="high:Q")
        )
    return alt.layer(*layers).properties(height=_ROW * len(labels) * max(len(series) * 0.6, 1))


KINDS: Mapping[str, Callable[[Sequence[Row], Mapping[str, Any], bool], Any]] = {
    "scatter": scatter,
    "lines": lines,
    "stacked": stacked,
    "bars": bars,
    "front": score_charts.front,
    "dates": score_charts.dates,
    "fit": score_charts.fit,
    "heat": score_charts.heat,
}


def _legend(values: Sequence[str]) -> Any:
    """None of a single value: it would say nothing."""
    return alt.Legend(orient="top", columns=3, labelLimit=180) if len(values) > 1 else None
