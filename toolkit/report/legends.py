"""The legends of all charts: what there is to tell apart, as wide as the chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt


def top_legend(**more: Any) -> alt.Legend:
    """Above the chart; on a narrow screen one below the other."""
    return alt.Legend(
        orient="top",
        columns=alt.ExprRef("width < 480 ? 1 : 3"),
        labelLimit=alt.ExprRef("width < 480 ? width - 30 : width / 3 - 30"),
        symbolStrokeWidth=2,
        # Pictures are laid out with other letters than they are shown with.
        columnPadding=24,
        **more,
    )


def legend_of(values: Sequence[str]) -> alt.Legend | None:
    """That of several values; a single one would say nothing."""
    return top_legend() if len(values) > 1 else None


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
