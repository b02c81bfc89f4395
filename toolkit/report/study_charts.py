"""The charts of studies, as Vega-Lite with their rows in them; colours and widths come from outside."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import altair as alt

from toolkit.report import score_charts
from toolkit.report.label_places import names, placed
from toolkit.report.legends import legend_of, line_legend, top_legend
from toolkit.report.study_content import Chart, Row
from toolkit.report.ticks import BILLIONS, log_axis, log_ticks

Spec = dict[str, Any]

# On a narrow screen names of devices are longer than the chart is wide: lines of whole words.
_LINES = "split(trim(replace(datum.label, regexp('(.{1,28})(?: |$)', 'g'), '$1\\n')), '\\n')"
# A label stands above its bars, which are as wide as the chart, however narrow that is.
_BAR = 16
_LABEL = 20


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
    ends = log_ticks([float(row["x"]) for row in rows]) if rows else None
    data = placed(rows, ends=ends)
    base = alt.Chart(alt.InlineData(values=data))
    x = alt.X("x:Q", title=options["x"], **log_axis([row["x"] for row in data], **BILLIONS))
    values = [row[end] for row in data for end in ("y", "low", "high") if end in row]
    y = alt.Y("y:Q", title=options["y"], **log_axis(values, format="~g"))
    series = list(dict.fromkeys(str(row["series"]) for row in data))
    families = list(dict.fromkeys(str(row["family"]) for row in data))
    encodings: dict[str, Any] = {
        "x": x,
        "y": y,
        "color": alt.Color(
            "family:N", title=None, scale=alt.Scale(domain=families), legend=legend_of(families)
        ),
        "shape": alt.Shape("series:N", title=None, scale=alt.Scale(domain=series), legend=legend_of(series)),
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
        layers.append(names(base, x, y))
    return alt.layer(*layers).properties(height=320)


def lines(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """A line per series; rows: series, x, y, and low and high where there are any."""
    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    series = list(dict.fromkeys(str(row["series"]) for row in rows))
    legend = line_legend(_LINES)
    whole: dict[str, Any] = {"tickMinStep": 1} if options.get("whole", True) else {}
    x = alt.X("x:Q", title=options["x"], axis=alt.Axis(tickCount=6, **whole), scale=alt.Scale(zero=False))
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
    """Bars of parts; rows: label, part, value. With the option `share` each bar is 100 %.

    A part has the colour of its place among the option `parts`: the same in charts that lack some of them.
    """
    base = alt.Chart(alt.InlineData(values=[{**row, "order": index} for index, row in enumerate(rows)]))
    labels = list(dict.fromkeys(str(row["label"]) for row in rows))
    parts = list(dict.fromkeys(str(row["part"]) for row in rows))
    places = list(options.get("parts", parts))
    share = bool(options.get("share"))
    percent: dict[str, Any] = {"format": "%"} if share else {}
    x = alt.X(
        "value:Q",
        title=options["x"],
        stack="normalize" if share else "zero",
        axis=alt.Axis(tickCount=5, **percent),
    )
    drawn = base.mark_bar(fillOpacity=0.3 if emulated else 1, strokeWidth=1).encode(
        y=_labels(labels, 1),
        x=x,
        color=alt.Color(
            "part:N", scale=alt.Scale(domain=places), title=None, legend=top_legend(parts, values=parts)
        ),
        order="order:O",
        tooltip=["label:N", "part:N", alt.Tooltip("value:Q", format=".4~g")],
    )
    return drawn.properties(height=_height(labels, 1))


def bars(rows: Sequence[Row], options: Mapping[str, Any], emulated: bool) -> Any:
    """Bars with intervals; rows: label, series, value, and low and high where there are any."""
    base = alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))
    labels = list(dict.fromkeys(str(row["label"]) for row in rows))
    series = list(dict.fromkeys(str(row["series"]) for row in rows))
    y = _labels(labels, len(series))
    offset = alt.YOffset("series:N", sort=series)
    longest = max((float(row.get("high", row["value"])) for row in rows), default=1.0)
    # The longest bar leaves room for its value.
    scale = alt.Scale(domainMin=0, domainMax=longest * 1.25 or 1, nice=False)
    x = alt.X("value:Q", title=options["x"], axis=alt.Axis(tickCount=4), scale=scale)
    drawn = base.mark_bar(fillOpacity=0.3 if emulated else 1).encode(
        y=y,
        yOffset=offset,
        x=x,
        color=alt.Color("series:N", scale=alt.Scale(domain=series), title=None, legend=legend_of(series)),
        tooltip=["label:N", "series:N", alt.Tooltip("value:Q", title=options["x"], format=".4~g")],
    )
    layers = [drawn]
    if rows and all("low" in row and "high" in row for row in rows):
        layers.append(
            base.mark_rule(strokeWidth=2).encode(y=y, yOffset=offset, x=alt.X("low:Q"), x2="high:Q")
        )
    end = "high" if len(layers) > 1 else "value"
    layers.append(
        base.mark_text(align="left", baseline="middle", dx=6, fontSize=11).encode(
            y=y, yOffset=offset, x=alt.X(f"{end}:Q"), text=alt.Text("value:Q", format=".4~g")
        )
    )
    return alt.layer(*layers).properties(height=_height(labels, len(series)))


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


def _labels(labels: Sequence[str], bars: int) -> alt.Y:
    above = alt.Axis(
        labelAlign="left",
        labelBaseline="bottom",
        labelPadding=0,
        labelOffset=-_BAR * bars / 2 - 2,
        labelLimit=alt.ExprRef("width"),
        ticks=False,
        domain=False,
        grid=False,
        zindex=1,
    )
    # Of each step the upper part is the label's.
    room = _LABEL / (_LABEL + _BAR * bars)
    scale = alt.Scale(paddingInner=room, paddingOuter=room)
    return alt.Y("label:N", sort=list(labels), title=None, axis=above, scale=scale)


def _height(labels: Sequence[str], bars: int) -> int:
    return (_LABEL + _BAR * bars) * len(labels) + _LABEL
