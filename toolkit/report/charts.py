"""The charts, as Vega-Lite; the page and the PNG figures draw the same specifications.

Each takes its rows from a data set named ``rows`` and whether they are emulated from a parameter, so that
the page can filter without making a new chart. Colours, fonts and widths come from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import altair as alt

from toolkit.engines import DEFAULT_ENGINE, usable_engines

ROWS = "rows"
# Emulated bars are hollow and dashed, so that nobody takes them for measurements even in a cropped picture.
EMULATED = "emulated"
_LABEL = "split(datum.label, '\\n')"
_SIDES: dict[str, dict[str, Any]] = {"===": {"align": "left", "dx": 9}, "!==": {"align": "right", "dx": -9}}

Spec = dict[str, Any]


def bars(title: str) -> Spec:
    """Horizontal bars with intervals; rows: label, value, low, high, repetitions, runs, backend."""
    bar = (
        _base()
        .mark_bar(height={"band": 0.62}, fillOpacity=_when_emulated(0.12, 1), **_outline())
        .encode(
            y=_labels(),
            x=alt.X("value:Q", title=title, axis=alt.Axis(tickCount=5), scale=alt.Scale(zero=True)),
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
    interval = _base().mark_rule(strokeWidth=2).encode(y=_labels(), x="low:Q", x2="high:Q")
    caps = [
        _base().mark_tick(thickness=2, size=10).encode(y=_labels(), x=alt.X(f"{end}:Q"))
        for end in ("low", "high")
    ]
    return _spec(alt.layer(bar, interval, *caps), height={"step": 44})


def memory() -> Spec:
    """Stacked bars of the peak's parts; rows: label, part, mb, order."""
    parts = ["after load", "added while running"]
    chart = (
        _base()
        .mark_bar(height={"band": 0.62}, fillOpacity=_when_emulated(0.12, 1), **_outline())
        .encode(
            y=_labels(),
            x=alt.X("mb:Q", title="MB", stack="zero", axis=alt.Axis(tickCount=6)),
            # The engines' colours mean engines elsewhere, so they are passed over.
            fill=_parts(alt.Fill, parts),
            stroke=_parts(alt.Stroke, parts),
            order="order:O",
            tooltip=_tooltip(("part", "part"), ("mb", "MB")),
        )
    )
    return _spec(chart, height={"step": 44})


def curve() -> Spec:
    """Time of each decode step; rows: label, step, ms."""
    legend = alt.Legend(
        orient="bottom",
        columns=1,
        labelLimit=700,
        symbolType="stroke",
        symbolSize=400,
        labelExpr="replace(datum.label, '\\n', ', ')",
    )
    chart = (
        _base()
        .mark_line(strokeWidth=2, opacity=_when_emulated(0.55, 1))
        .encode(
            x=alt.X("step:Q", title="decode step", axis=alt.Axis(tickMinStep=1, tickCount=10)),
            y=alt.Y("ms:Q", title="ms per token", scale=alt.Scale(zero=True), axis=alt.Axis(tickCount=6)),
            color=alt.Color("label:N", sort=None, title=None, legend=legend),
            strokeDash=alt.StrokeDash("label:N", sort=None, title=None, legend=legend),
            tooltip=_tooltip(("step", "step"), ("ms", "ms per token")),
        )
    )
    return _spec(chart, height=260)


def against_size(title: str, *, logarithmic: bool = False) -> Spec:
    """Points over the artifact's size; rows: label, model, name, size_mb, value, low, high, backend.

    Sizes span orders of magnitude, and times do with them; a logarithmic axis says so in its title.
    """
    kind: dict[str, Any] = {"type": "log"} if logarithmic else {"zero": False}
    scale = alt.Scale(nice=False, padding=24, **kind)
    shown = f"{title} (log)" if logarithmic else title
    x = alt.X(
        "size_mb:Q",
        title="artifact size, MB (log)",
        axis=alt.Axis(tickCount=6),
        scale=alt.Scale(type="log", nice=False, padding=80),
    )
    y = alt.Y("value:Q", title=shown, axis=alt.Axis(tickCount=6), scale=scale)
    spread = _base().mark_rule(strokeWidth=2).encode(x=x, y=alt.Y("low:Q", title=shown), y2="high:Q")
    points = (
        _base()
        # See-through, because artifacts of two backends are often equally large and nearly equally fast.
        .mark_point(
            size=90,
            strokeWidth=2,
            strokeDash=_when_emulated("[3, 2]", "[1, 0]"),
            fillOpacity=_when_emulated(0, 0.35),
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
                legend=alt.Legend(orient="top", symbolStrokeWidth=2),
            ),
            tooltip=_tooltip(("size_mb", "MB"), ("value", title)),
        )
    )
    # Names stand on the engine's own side of the point, so that neighbours do not cover each other's.
    names = [
        _base()
        .mark_text(baseline="middle", limit=150, fontSize=11, **side)
        .encode(
            x=x,
            y=y,
            text=alt.condition(f"datum.backend {test} {DEFAULT_ENGINE!r}", "name:N", alt.value("")),
        )
        for test, side in _SIDES.items()
    ]
    return _spec(alt.layer(spread, points, *names), height=320)


CHARTS: dict[str, Callable[[], Spec]] = {
    "prefill": lambda: bars("prefill, tokens per second"),
    "decode": lambda: bars("decode, tokens per second"),
    "curve": curve,
    "memory": memory,
    "first_token": lambda: against_size("time to first token, ms", logarithmic=True),
    "per_token": lambda: against_size("time per generated token, ms", logarithmic=True),
    "prefill_energy": lambda: bars("joules per prompt token"),
    "decode_energy": lambda: bars("joules per generated token"),
    "divergence": lambda: against_size("mean KL divergence, nats per position"),
    "agreement": lambda: against_size("positions with the same top token, %"),
}


def _base() -> alt.Chart:
    return alt.Chart(alt.NamedData(name=ROWS))


def _labels() -> alt.Y:
    # Labels have two lines; the offset centres them on the bar.
    axis = alt.Axis(labelExpr=_LABEL, labelLimit=270, ticks=False, labelPadding=8, labelOffset=-6)
    return alt.Y("label:N", sort=None, title=None, axis=axis)


def _when_emulated(emulated: float | str, real: float | str) -> alt.ExprRef:
    return alt.ExprRef(f"{EMULATED} ? {emulated} : {real}")


def _outline() -> dict[str, Any]:
    return {"strokeWidth": _when_emulated(1.5, 0), "strokeDash": _when_emulated("[5, 3]", "[1, 0]")}


def _engine_names() -> list[str]:
    return [engine.name for engine in usable_engines()]


def _engine(channel: Any) -> Any:
    """Fill or stroke by backend. A fixed domain: an engine keeps its colour whatever is filtered."""
    return channel(
        "backend:N",
        title=None,
        scale=alt.Scale(domain=_engine_names()),
        legend=alt.Legend(orient="top", symbolStrokeWidth=2),
    )


def _model(channel: Any) -> Any:
    return channel("model:N", title=None, legend=alt.Legend(orient="top", columns=2, symbolStrokeWidth=2))


def _parts(channel: Any, parts: list[str]) -> Any:
    return channel(
        "part:N",
        title=None,
        scale=alt.Scale(domain=[*_engine_names(), *parts]),
        legend=alt.Legend(orient="top", values=parts, symbolStrokeWidth=2),
    )


def _tooltip(*fields: tuple[str, str]) -> list[alt.Tooltip]:
    numbers = {"value", "low", "high", "mb", "ms", "size_mb"}
    return [alt.Tooltip("label:N", title="configuration")] + [
        alt.Tooltip(f"{name}:Q", title=title, format=".4~g")
        if name in numbers
        else alt.Tooltip(f"{name}:N", title=title)
        for name, title in fields
    ]


def _spec(chart: Any, *, height: Any) -> Spec:
    sized = chart.properties(width="container", height=height).add_params(
        alt.param(name=EMULATED, value=False)
    )
    spec: Spec = sized.to_dict()
    spec["title"] = {
        "text": {"expr": f"{EMULATED} ? 'EMULATED: not measured on a phone' : ''"},
        "anchor": "start",
    }
    # Altair's own look; ours comes from the theme.
    spec.pop("config", None)
    return spec
