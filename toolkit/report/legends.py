"""The legends of all charts: what there is to tell apart, as wide as the chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

# Width of a letter, and of what stands beside a label: its symbol and the space to the next column.
_LETTER, _BESIDE = 7, 30


def top_legend(said: Sequence[str] = (), **more: Any) -> alt.Legend:
    """Above the chart; on a narrow screen one below the other, elsewhere three or as many as have room.

    Args:
        said: its labels, where they are known.
        more: properties of the legend.
    """
    longest = max(map(len, said), default=0) * _LETTER + _BESIDE
    columns = f"width < 480 ? 1 : clamp(floor(width / {longest}), 1, 3)"
    return alt.Legend(
        orient="top",
        columns=alt.ExprRef(columns),
        labelLimit=alt.ExprRef(f"width / ({columns}) - {_BESIDE}"),
        symbolStrokeWidth=2,
        # Pictures are laid out with other letters than they are shown with.
        columnPadding=24,
        **more,
    )


def legend_of(values: Sequence[str]) -> alt.Legend | None:
    """That of several values; a single one would say nothing."""
    return top_legend(values) if len(values) > 1 else None


def line_legend(narrow: str, wide: str = "datum.label") -> alt.Legend:
    """Of lines, below the chart, each with its dashes.

    Args:
        narrow: Vega's expression for a label's lines on a narrow screen.
        wide: for the label elsewhere.
    """
    return alt.Legend(
        orient="bottom",
        columns=1,
        labelLimit=alt.ExprRef("width - 30"),
        symbolType="stroke",
        symbolSize=400,
        labelExpr=f"width < 480 ? {narrow} : {wide}",
    )
