"""Colours of the report: one table for the page's CSS, its charts and the PNG figures.

Text reaches a contrast of 7:1 and marks 4.5:1 on their background, where WCAG AA asks for 4.5:1 and 3:1.
The series stay apart for people who lack one kind of cone, and dashes and shapes repeat what colour says.
"""

from __future__ import annotations

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

    def css(self) -> str:
        """Declarations of CSS custom properties, one for each colour."""
        named = {name: value for name, value in vars(self).items() if name != "series"}
        named |= {f"series-{number}": colour for number, colour in enumerate(self.series)}
        return " ".join(f"--{name}: {value};" for name, value in named.items())


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
        "#00735c",
        "#8f2d8c",
        "#4a3b00",
        "#0f7fa6",
        "#7a0f2e",
        "#23263a",
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
        "#69f5ce",
        "#7972f8",
        "#fc555c",
        "#abeea0",
        "#d752bc",
        "#ddd5ff",
    ),
)
