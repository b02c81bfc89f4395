"""What of a chart depends on its rows: Vega-Lite's parameters; a page filters without a new chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import altair as alt

from toolkit.report.ticks import log_ticks

ROWS = "rows"
# Emulated bars are hollow and dashed, so that nobody takes them for measurements even in a cropped picture.
EMULATED = "emulated"
# Names in a legend that are among the rows.
SHOWN = "shown"
MAXIMUM = "maximum"
# The longest bar ends here, so that its value has room behind it.
_ROOM = 1.3

Spec = dict[str, Any]


def when_emulated(emulated: float | str, real: float | str) -> alt.ExprRef:
    """One value for emulated devices, another one for real ones."""
    return alt.ExprRef(f"{EMULATED} ? {emulated} : {real}")


def specification(
    chart: Any,
    *,
    height: Any,
    legend: str | None = None,
    longest: str | None = None,
    log: Mapping[str, str] | None = None,
) -> Spec:
    """The chart as plain data; what `fitted` reads of its rows stands in ``usermeta``."""
    parameters = {EMULATED: False, SHOWN: [], MAXIMUM: 1, "xticks": [1, 10], "yticks": [1, 10]}
    sized = chart.properties(width="container", height=height).add_params(
        *(alt.param(name=name, value=value) for name, value in parameters.items())
    )
    spec: Spec = sized.to_dict()
    spec["title"] = {
        "text": {"expr": f"{EMULATED} ? 'EMULATED: not measured on a phone' : ''"},
        "anchor": "start",
    }
    about = {"legend": legend, "longest": longest, "log": log}
    spec["usermeta"] = {name: value for name, value in about.items() if value}
    # Altair's own look; ours comes from the theme.
    spec.pop("config", None)
    return spec


def fitted(spec: Spec, rows: Sequence[Mapping[str, Any]], *, emulated: bool) -> Spec:
    """A chart for these rows: the parameters that depend on them."""
    made = deepcopy(spec)
    about = made["usermeta"]
    values: dict[str, Any] = {EMULATED: emulated}
    if "legend" in about:
        values[SHOWN] = list(dict.fromkeys(row[about["legend"]] for row in rows))
    if "longest" in about:
        values[MAXIMUM] = max(row[about["longest"]] for row in rows) * _ROOM
    for name, field in about.get("log", {}).items():
        values[name] = log_ticks([row[field] for row in rows])
    for parameter in made["params"]:
        parameter["value"] = values.get(parameter["name"], parameter["value"])
    made["datasets"] = {ROWS: list(rows)}
    return made
