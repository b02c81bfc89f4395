"""How charts look that are drawn without a browser."""

from __future__ import annotations

from typing import Any

from toolkit.report.theme import Theme


def chart_config(theme: Theme) -> dict[str, Any]:
    """Vega-Lite's config for a theme; assets/theme.js has the same for the browser."""
    axis = {
        "labelColor": theme.text,
        "titleColor": theme.muted,
        "gridColor": theme.grid,
        "domainColor": theme.grid,
        "tickColor": theme.grid,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
    }
    mark = {"color": theme.text}
    return {
        "background": theme.background,
        "view": {"stroke": None},
        "range": {"category": list(theme.series)},
        "axis": axis,
        "legend": {
            "symbolBaseFillColor": theme.muted,
            "symbolBaseStrokeColor": theme.muted,
            "labelColor": theme.text,
            "titleColor": theme.muted,
            "labelFontSize": 12,
            "layout": {"top": {"direction": "vertical", "margin": 4}},
        },
        "title": {"fontSize": 15, "subtitleFontSize": 12, "color": theme.text, "subtitleColor": theme.muted},
        "rule": mark,
        "tick": mark,
        "text": mark,
    }
