"""Where the names of points stand so that they do not cover each other; what finds no room is left out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import altair as alt

Place = Literal["right", "above", "below", "left", "none"]
PLACES: tuple[Place, ...] = ("right", "above", "below", "left")
# Where a line of steps leaves its points to the right.
BEFORE_STEPS: tuple[Place, ...] = ("above", "left", "below", "right")
# Where a line rises to the right.
BESIDE_RISING: tuple[Place, ...] = ("right", "left", "below", "above")

_SIDES = {"right": (8, 0), "above": (0, -13), "below": (0, 15), "left": (-8, 0)}
_ALIGNS = {"right": "left", "left": "right"}

# Of a drawing on a wide screen; where it is narrower, names are not shown.
_WIDTH, _HEIGHT = 520.0, 320.0
_LETTER, _LINE, _GAP = 6.0, 13.0, 8.0


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: _Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def placed(
    rows: Sequence[Mapping[str, Any]],
    *,
    log: tuple[bool, bool] = (True, True),
    size: tuple[float, float] = (_WIDTH, _HEIGHT),
    order: tuple[Place, ...] = PLACES,
    ends: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Rows with the place of each one's name beside its point.

    Args:
        rows: with label, y, and x, which may be a month such as 2024-03.
        log: whether the axes are logarithmic, whose values are positive.
        size: of the drawing, pixels.
        order: in which sides are tried.
        ends: values that the axis of x begins and ends with, where these are not those of the points.
    """
    points = [(_number(row["x"]), float(row["y"]), str(row["label"])) for row in rows]
    return [
        {**row, "place": place}
        for row, place in zip(rows, places(points, log=log, size=size, order=order, ends=ends), strict=True)
    ]


def names(base: alt.Chart, x: alt.X, y: alt.Y, text: str = "label:N", **look: Any) -> alt.Chart:
    """The layer of names beside points; the page moves them again where it knows their sizes.

    Args:
        base: a chart of rows as :func:`placed` gives them.
        x: where its points stand.
        y: likewise.
        text: the field that holds them.
        look: more properties of the marks.
    """
    drawn = base.mark_text(fontSize=11, baseline="middle", **beside("datum.place"), **look)
    layer: alt.Chart = drawn.encode(x=x, y=y, text=text).properties(name="names")
    return layer


def places(
    points: Sequence[tuple[float, float, str]],
    *,
    log: tuple[bool, bool] = (True, True),
    size: tuple[float, float] = (_WIDTH, _HEIGHT),
    order: tuple[Place, ...] = PLACES,
    ends: Sequence[float] | None = None,
) -> list[Place]:
    """A place for each name.

    Args:
        points: (x, y, name); an empty name needs none.
        log: whether the axes are logarithmic, whose values are positive.
        size: of the drawing, pixels.
        order: in which sides are tried.
        ends: of the axis of x, where these are not those of the points.
    """
    if not points:
        return []
    xs = [math.log(x) if log[0] else x for x, _, _ in points]
    ys = [math.log(y) if log[1] else y for _, y, _ in points]
    width, height = size
    across = xs if ends is None else [math.log(x) if log[0] else x for x in ends]
    at = [(_scaled(x, across) * width, (1 - _scaled(y, ys)) * height) for x, y in zip(xs, ys, strict=True)]
    taken = [_Box(x - 4, y - 4, x + 4, y + 4) for x, y in at]
    found: list[Place] = []
    said: set[tuple[float, float, str]] = set()
    for (x, y), point in zip(at, points, strict=True):
        name = point[2]
        place: Place = "none"
        # Where points are the same, one name says it.
        for one in () if point in said or not name else order:
            box = _box(x, y, _LETTER * len(name), one)
            inside = box.left >= 0 and box.right <= width + 30
            if inside and not any(box.meets(other) for other in taken):
                place = one
                taken.append(box)
                break
        said.add(point)
        found.append(place)
    return found


def beside(place: str) -> dict[str, Any]:
    """Properties of a text mark whose rows say in the field `place` where it stands.

    Args:
        place: the field, e.g. ``datum.place``.
    """

    def chosen(values: Mapping[str, object], otherwise: object) -> alt.ExprRef:
        expression = repr(otherwise)
        for name, value in values.items():
            expression = f"{place} === {name!r} ? {value!r} : {expression}"
        return alt.ExprRef(expression)

    return {
        "align": chosen(_ALIGNS, "center"),
        "dx": chosen({name: dx for name, (dx, _) in _SIDES.items()}, 0),
        "dy": chosen({name: dy for name, (_, dy) in _SIDES.items()}, 0),
        "opacity": chosen({"none": 0}, 1),
    }


def _number(value: Any) -> float:
    """A number as such, a month in months."""
    if isinstance(value, str):
        year, month = map(int, value.split("-"))
        return 12.0 * year + month
    return float(value)


def _scaled(value: float, values: Sequence[float]) -> float:
    low, high = min(values), max(values)
    return (value - low) / (high - low) if high > low else 0.5


def _box(x: float, y: float, width: float, place: Place) -> _Box:
    if place == "right":
        return _Box(x + _GAP, y - _LINE / 2, x + _GAP + width, y + _LINE / 2)
    if place == "left":
        return _Box(x - _GAP - width, y - _LINE / 2, x - _GAP, y + _LINE / 2)
    top = y - _GAP - _LINE if place == "above" else y + _GAP
    return _Box(x - width / 2, top, x + width / 2, top + _LINE)
