"""The charts of what models know, as Vega-Lite with their rows in them; colours come from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from toolkit.report.label_places import BEFORE_STEPS, BESIDE_RISING, PLACES, names, placed
from toolkit.report.legends import legend_of
from toolkit.report.study_content import Row
from toolkit.report.ticks import BILLIONS, log_axis, log_ticks

_HEIGHT = 300


def front(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """Points with a line through those that nothing beats; rows: label, series, x, y, front (yes or no)."""
    log = bool(options.get("log"))
    ends = log_ticks([float(row["x"]) for row in rows]) if log and rows else None
    # What costs more is more accurate, so that the line leaves its points upwards to the right.
    order = BESIDE_RISING if log else PLACES
    base = alt.Chart(alt.InlineData(values=placed(rows, log=(log, False), ends=ends, order=order)))
    plain = {"axis": alt.Axis(tickCount=5, format="~g"), "scale": alt.Scale(zero=False, padding=24)}
    around = log_axis([row["x"] for row in rows], format="~g") if log else plain
    x = alt.X("x:Q", title=options["x"], **around)
    series = list(dict.fromkeys(str(row["series"]) for row in rows))
    colour = alt.Color("series:N", scale=alt.Scale(domain=series), title=None, legend=legend_of(series))
    points = base.mark_point(filled=not emulated, size=70, strokeWidth=2).encode(
        x=x,
        y=_accuracy(options),
        color=colour,
        tooltip=[
            alt.Tooltip("label:N", title="model"),
            alt.Tooltip("x:Q", title=options["x"], format=".4~g"),
            alt.Tooltip("y:Q", title=options["y"], format=".3f"),
        ],
    )
    line = base.mark_line(strokeDash=[4, 3], strokeWidth=1.5).encode(x=x, y=_accuracy(options), order="x:Q")
    layers = (line.transform_filter("datum.front === 'yes'"), points, names(base, x, _accuracy(options)))
    return alt.layer(*layers).properties(height=_HEIGHT)


def dates(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """Points over months with the best so far, which are named; rows: label, series, x (YYYY-MM), y."""
    best, data = float("-inf"), []
    for row in sorted(rows, key=lambda one: (str(one["x"]), -float(one["y"]))):
        name = row["label"] if float(row["y"]) > best else ""
        best = max(best, float(row["y"]))
        about = {"model": row["label"], "month": f"{row['x']}-01", "best": best}
        data.append({**row, **about, "label": name})
    base = alt.Chart(alt.InlineData(values=placed(data, log=(False, False), order=BEFORE_STEPS)))
    x = alt.X("month:T", title=options["x"], axis=alt.Axis(tickCount=5))
    points = base.mark_point(filled=not emulated, size=50).encode(
        x=x,
        y=_accuracy(options),
        tooltip=["model:N", "series:N", "x:N", alt.Tooltip("y:Q", format=".3f")],
    )
    line = base.mark_line(strokeDash=[4, 3], strokeWidth=1.5, interpolate="step-after")
    layers = (line.encode(x=x, y="best:Q"), points, names(base, x, _accuracy(options)))
    return alt.layer(*layers).properties(height=_HEIGHT)


def fit(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """Points over parameters with the line through them; rows: label, x, y."""
    ends = log_ticks([float(row["x"]) for row in rows]) if rows else None
    base = alt.Chart(alt.InlineData(values=placed(rows, log=(True, False), ends=ends)))
    x = alt.X("x:Q", title=options["x"], **log_axis([row["x"] for row in rows], **BILLIONS))
    y = alt.Y("y:Q", title=options["y"], axis=alt.Axis(tickCount=5))
    points = base.mark_point(filled=not emulated, size=70).encode(
        x=x, y=y, tooltip=["label:N", "x:Q", alt.Tooltip("y:Q", format="+.2f")]
    )
    layers = [points, names(base, x, y)]
    if len({row["x"] for row in rows}) > 1:
        line = base.mark_line(strokeDash=[4, 3], strokeWidth=1.5).transform_regression("x", "y", method="log")
        layers.insert(0, line.encode(x=x, y=y))
    return alt.layer(*layers).properties(height=_HEIGHT)


def heat(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """Cells of length and depth; rows: x, y, value from 0 to 1, which stands in the cell as well."""
    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    depths = len({row["y"] for row in rows})
    x = alt.X("x:O", title=options["x"], axis=alt.Axis(labelAngle=0))
    y = alt.Y("y:O", title=options["y"])
    colour = alt.Color(
        "value:Q",
        title=options["value"],
        scale=alt.Scale(domain=[0, 1], scheme="viridis"),
        legend=alt.Legend(orient="top", format="%"),
    )
    drawn = base.mark_rect(opacity=0.5 if emulated else 1).encode(
        x=x, y=y, color=colour, tooltip=["x:O", "y:O", alt.Tooltip("value:Q", format=".0%")]
    )
    # The cells' colours are the same in both themes, and so is what is legible on them.
    legible = alt.condition("datum.value > 0.6", alt.value("#000000"), alt.value("#ffffff"))
    said = base.mark_text(fontSize=11).encode(x=x, y=y, text=alt.Text("value:Q", format=".0%"), color=legible)
    return alt.layer(drawn, said).properties(height=max(36 * depths, 120))


def _accuracy(options: Mapping[str, Any]) -> Any:
    axis = alt.Axis(tickCount=5, format="~g")
    return alt.Y("y:Q", title=options["y"], axis=axis, scale=alt.Scale(zero=False, padding=16))
