"""Scores over length and depth."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from pydantic import Field

from toolkit.artifact import Frozen
from toolkit.evaluate.needle.haystack import Kind

# Where "lost in the middle" (Liu et al., 2023) shows; the survey saw it between these depths.
_MIDDLE = (0.2, 0.7)
_SHADES = " ░▒▓█"


class NeedleScore(Frozen):
    """One cell of the grid: the share of questions answered, of ``n``."""

    kind: Kind
    length: int
    depth: float
    value: float
    n: int


class NeedleFigures(Frozen):
    """A whole grid.

    Attributes:
        target: the model; ``artifact_sha256`` None for one in transformers.
        where: what answered.
        means: per kind.
        mean: of the three kinds, the survey's score.
        middle, outside: means of the cells whose depth is 20 to 70 %, and of the others; None where there are
            none.
        versions: of the tokenizer's library and the engine; of figures from before they were kept none.
    """

    target: str
    artifact_sha256: str | None
    where: str
    scores: list[NeedleScore]
    means: dict[str, float]
    mean: float
    middle: float | None
    outside: float | None
    trials: int
    seed: int
    versions: dict[str, str] = Field(default_factory=dict)
    seconds: float


def means_of(scores: Sequence[NeedleScore]) -> dict[str, float]:
    """Means of the cells of each kind."""
    kinds = dict.fromkeys(one.kind for one in scores)
    return {kind: fmean(one.value for one in scores if one.kind == kind) for kind in kinds}


def middle_of(scores: Sequence[NeedleScore]) -> tuple[float | None, float | None]:
    """Means of the cells in the middle, and of the others."""
    return middle_of_cells([(one.depth, one.value) for one in scores])


def middle_of_cells(cells: Sequence[tuple[float, float]]) -> tuple[float | None, float | None]:
    """As :func:`middle_of`, of pairs of depth and share found; None where there is no such cell."""
    inside = [value for depth, value in cells if _MIDDLE[0] <= depth <= _MIDDLE[1]]
    outside = [value for depth, value in cells if not _MIDDLE[0] <= depth <= _MIDDLE[1]]
    return (fmean(inside) if inside else None, fmean(outside) if outside else None)


def heat_map(scores: Sequence[NeedleScore], kind: Kind) -> str:
    """Lines of text: depths down, lengths across, percent in each cell, darker for more."""
    cells = {(one.depth, one.length): one.value for one in scores if one.kind == kind}
    lengths = sorted({length for _, length in cells})
    lines = ["depth  " + " ".join(f"{length:>7}" for length in lengths)]
    for depth in sorted({depth for depth, _ in cells}):
        row = []
        for length in lengths:
            value = cells[depth, length]
            shade = _SHADES[round(value * (len(_SHADES) - 1))]
            row.append(f"{2 * shade}{100 * value:>4.0f}%")
        lines.append(f"{100 * depth:>4.0f}%  " + " ".join(row))
    return "\n".join(lines)
