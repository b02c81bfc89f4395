"""The charts, as Vega-Lite; the page and the PNG figures draw the same specifications.

Each takes its rows from a data set named ``rows``, and what depends on these from parameters (parameters.py).
Colours, fonts and widths come from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt

from toolkit.engines import usable_engines
from toolkit.report.label_places import beside
from toolkit.report.legends import line_legend, top_legend
from toolkit.report.parameters import MAXIMUM, ROWS, SHOWN, Spec, specification, when_emulated

# A label of two lines stands above its bar: bars are as wide as the chart, however narrow that is.
_STEP = 58
_BAR: dict[str, Any] = {"height": 14, "yOffset": 12}


def bars(title: str) -> Spec:
    """Horizontal bars with intervals; rows: label, value, low, high, repetitions, runs, backend."""
    bar = (
        _base()
        .mark_bar(fillOpacity=when_emulated(0.12, 1), **_outline(), **_BAR)
        .encode(
            y=_bands(),
            x=_lengths("value"),
            fill=_engine(alt.Fill),
            stroke=_engine(alt.Stroke),
            tooltip=_tooltip(
                ("value", title),
                ("low", "95 % from"),
                ("high", "to"),
                ("repetitions", "repetitions"),
                ("runs", "runs"),
            ),
        )
    )
    moved: dict[str, Any] = {"yOffset": _BAR["yOffset"]}
    interval = _base().mark_rule(strokeWidth=2, **moved).encode(y=_bands(), x="low:Q", x2="high:Q")
    caps = [
        _base().mark_tick(thickness=2, size=10, **moved).encode(y=_bands(), x=alt.X(f"{end}:Q"))
        for end in ("low", "high")
    ]
    layers = alt.layer(bar, interval, *caps, _labels(), _values("high", "value"))
    return specification(layers, height={"step": _STEP}, legend="backend", longest="high")


def memory() -> Spec:
    """Stacked bars of the peak's parts; rows: label, part, mb, order, total."""
    parts = ["after load", "added while running"]
    bar = (
        _base()
        .mark_bar(fillOpacity=when_emulated(0.12, 1), **_outline(), **_BAR)
        .encode(
            y=_bands(),
            x=_lengths("mb", stack="zero"),
            # The engines' colours mean engines elsewhere, so they are passed over.
            fill=_parts(alt.Fill, parts),
            stroke=_parts(alt.Stroke, parts),
            order="order:O",
            tooltip=_tooltip(("part", "part"), ("mb", "MB"), ("total", "together")),
        )
    )
    once = "datum.order === 0"
    layers = alt.layer(
        bar, _labels().transform_filter(once), _values("total", "total").transform_filter(once)
    )
    return specification(layers, height={"step": _STEP}, legend="part", longest="total")


def curve() -> Spec:
    """Time of each decode step; rows: label, step, ms."""
    return _lines(
        alt.X("step:Q", title="decode step", axis=alt.Axis(tickMinStep=1, tickCount=8)),
        alt.Y("ms:Q", title="ms per token", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6)),
        _tooltip(("step", "step"), ("ms", "ms per token")),
    )


def over_length(title: str) -> Spec:
    """Speed over a length; rows: label, length, value, low, high, repetitions, runs."""
    return _lines(
        alt.X(
            "length:Q", title=title, axis=alt.Axis(tickMinStep=1, tickCount=6), scale=alt.Scale(zero=False)
        ),
        alt.Y("value:Q", title="tokens per second", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6)),
        _tooltip(("length", title), ("value", "tokens per second"), ("low", "95 % from"), ("high", "to")),
        point=True,
    )


def _lines(x: Any, y: Any, tooltip: Any, **mark: Any) -> Spec:
    # Names of models have no spaces: on a narrow screen model, quantization and engine have a line each.
    narrow = "split(replace(datum.label, ' ', '\\n'), '\\n')"
    legend = line_legend(narrow, "replace(datum.label, '\\n', ', ')")
    chart = (
        _base()
        .mark_line(strokeWidth=2, opacity=when_emulated(0.55, 1), **mark)
        .encode(
            x=x,
            y=y,
            color=alt.Color("label:N", sort=None, title=None, legend=legend),
            strokeDash=alt.StrokeDash("label:N", sort=None, title=None, legend=legend),
            tooltip=tooltip,
        )
    )
    return specification(chart, height=260)


def against_size(title: str, *, logarithmic: bool = False, largest: float | None = None) -> Spec:
    """Points over the artifact's size; rows: label, model, name, place, size_mb, value, low, high, backend.

    Sizes span orders of magnitude, and times do with them; a logarithmic axis says so in its title. Nothing
    is larger than ``largest``, where that is known.
    """
    x = alt.X("size_mb:Q", title="artifact size, MB (log)", **_log_axis("xticks"))
    y: Any
    if logarithmic:
        y = alt.Y("value:Q", title=f"{title} (log)", **_log_axis("yticks"))
    else:
        # Room around the points would make the axis go past what there can be.
        end: dict[str, Any] = {"padding": 16} if largest is None else {"domainMax": largest}
        scale = alt.Scale(zero=False, **end)
        y = alt.Y("value:Q", title=title, axis=alt.Axis(tickCount=6), scale=scale)
    spread = _base().mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q"), y2="high:Q")
    points = (
        _base()
        # See-through, because artifacts of two backends are often equally large and nearly equally fast.
        .mark_point(
            size=90,
            strokeWidth=2,
            strokeDash=when_emulated("[3, 2]", "[1, 0]"),
            fillOpacity=when_emulated(0, 0.35),
        )
        .encode(
            x=x,
            y=y,
            fill=_model(alt.Fill),
            stroke=_model(alt.Stroke),
            shape=alt.Shape(
                "backend:N",
                title=None,
                scale=alt.Scale(domain=_engine_names(), range=[engine.mark for engine in usable_engines()]),
                legend=top_legend(values=alt.ExprRef(SHOWN)),
            ),
            tooltip=_tooltip(("size_mb", "MB"), ("value", title)),
        )
    )
    names = (
        _base()
        .mark_text(baseline="middle", fontSize=11, **beside("datum.place"))
        .encode(x=x, y=y, text="name:N")
        .properties(name="names")
    )
    log = {"xticks": "size_mb"} | ({"yticks": "value"} if logarithmic else {})
    return specification(alt.layer(spread, points, names), height=320, legend="backend", log=log)


CHARTS: dict[str, Callable[[], Spec]] = {
    "prefill": lambda: bars("prefill, tokens per second"),
    "decode": lambda: bars("decode, tokens per second"),
    "curve": curve,
    "prefill_over_prompt": lambda: over_length("prompt tokens"),
    "decode_over_prompt": lambda: over_length("prompt tokens"),
    "prefill_over_depth": lambda: over_length("depth, tokens"),
    "decode_over_depth": lambda: over_length("depth, tokens"),
    "prefill_over_context": lambda: over_length("context, tokens"),
    "decode_over_context": lambda: over_length("context, tokens"),
    "memory": memory,
    "first_token": lambda: against_size("time to first token, ms", logarithmic=True),
    "per_token": lambda: against_size("time per generated token, ms", logarithmic=True),
    "prefill_energy": lambda: bars("joules per prompt token"),
    "decode_energy": lambda: bars("joules per generated token"),
    "divergence": lambda: against_size("mean KL divergence, nats per position"),
    "agreement": lambda: against_size("positions with the same top token, %", largest=100),
}


def _base() -> alt.Chart:
    return alt.Chart(alt.NamedData(name=ROWS))


def _bands() -> alt.Y:
    return alt.Y("label:N", sort=None, title=None, axis=None)


def _lengths(field: str, **channel: Any) -> alt.X:
    scale = alt.Scale(domainMin=0, domainMax=alt.ExprRef(MAXIMUM), nice=False)
    return alt.X(f"{field}:Q", title=None, axis=alt.Axis(tickCount=4), scale=scale, **channel)


def _labels() -> Any:
    mark: dict[str, Any] = {"align": "left", "baseline": "top", "lineBreak": "\n", "lineHeight": 14}
    return (
        _base()
        .mark_text(fontSize=12, dy=-26, limit=alt.ExprRef("width"), **mark)
        .encode(y=_bands(), x=alt.value(0), text="label:N")
    )


def _values(end: str, field: str) -> Any:
    return (
        _base()
        .mark_text(align="left", baseline="middle", dx=6, fontSize=12, yOffset=_BAR["yOffset"])
        .encode(y=_bands(), x=alt.X(f"{end}:Q"), text=alt.Text(f"{field}:Q", format=".4~g"))
    )


def _log_axis(ticks: str) -> dict[str, Any]:
    ends = alt.Scale(
        type="log",
        nice=False,
        domainMin=alt.ExprRef(f"{ticks}[0]"),
        domainMax=alt.ExprRef(f"{ticks}[length({ticks}) - 1]"),
    )
    return {"axis": alt.Axis(values=alt.ExprRef(ticks), format="~g", labelOverlap=False), "scale": ends}


def _outline() -> dict[str, Any]:
    return {"strokeWidth": when_emulated(1.5, 0), "strokeDash": when_emulated("[5, 3]", "[1, 0]")}


def _engine_names() -> list[str]:
    return [engine.name for engine in usable_engines()]


def _engine(channel: Any) -> Any:
    """Fill or stroke by backend. A fixed domain: an engine keeps its colour whatever is filtered."""
    return channel(
        "backend:N",
        title=None,
        scale=alt.Scale(domain=_engine_names()),
        legend=top_legend(values=alt.ExprRef(SHOWN)),
    )


def _model(channel: Any) -> Any:
    return channel("model:N", title=None, legend=top_legend())


def _parts(channel: Any, parts: list[str]) -> Any:
    return channel(
        "part:N",
        title=None,
        scale=alt.Scale(domain=[*_engine_names(), *parts]),
        legend=top_legend(values=parts),
    )


def _tooltip(*fields: tuple[str, str]) -> list[alt.Tooltip]:
    numbers = {"value", "low", "high", "mb", "total", "ms", "size_mb"}
    return [alt.Tooltip("label:N", title="configuration")] + [
        alt.Tooltip(f"{name}:Q", title=title, format=".4~g")
        if name in numbers
        else alt.Tooltip(f"{name}:N", title=title)
        for name, title in fields
    ]
