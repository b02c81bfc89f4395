"""Colours of the report: one table for the page's CSS, its charts and the PNG figures.

Text reaches a contrast of 7:1 and marks 4.5:1 on their background, where WCAG AA asks for 4.5:1 and 3:1.
The series stay apart for people who see fewer colours, and dashes and shapes repeat what colour says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Theme:
    """Colours as CSS hex values; ``series`` is used in order."""

    background: str
    surface: str
    border: str
    text: str
    muted: str
    link: str
    grid: str
    warning: str
    good: str
    bad: str
    series: tuple[str, ...]

    def css_variables(self) -> Mapping[str, str]:
        """CSS custom properties by name."""
        named = {name: value for name, value in vars(self).items() if name != "series"}
        return named | {f"series-{number}": colour for number, colour in enumerate(self.series)}


LIGHT = Theme(
    background="#ffffff",
    surface="#f4f6f9",
    border="#8a94a3",
    text="#1b222c",
    muted="#47515f",
    link="#0b4fa8",
    grid="#d9dee5",
    warning="#8a3b00",
    good="#0f6130",
    bad="#a11212",
    series=(
        "#1a5fb4",
        "#b04a00",
        "#1d7044",
        "#8f2d8c",
        "#7a5c00",
        "#0b6e78",
        "#c01f3f",
        "#4b4f58",
    ),
)

DARK = Theme(
    background="#12161d",
    surface="#1b212b",
    border="#7b8697",
    text="#eef2f7",
    muted="#b9c2cf",
    link="#8fc1ff",
    grid="#343d4b",
    warning="#ffb86b",
    good="#7ddc9b",
    bad="#ff9a9a",
    series=(
        "#7db4ff",
        "#ffae57",
        "#69d696",
        "#e59be2",
        "#e3c44c",
        "#5fd3df",
        "#ff8fa3",
        "#c4c9d2",
    ),
)
