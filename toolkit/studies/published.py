"""Numbers that others published, each with its source. They never share an axis with one's own."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

Row = Mapping[str, str | float]

_FOLDER = resources.files("toolkit.studies") / "published_data"


class Source(BaseModel):
    """Where a table comes from.

    Attributes:
        figure: of the paper; v3 renumbered them.
        paper: who published it.
        origin: the file that the numbers were read from.
        device: that they were measured on.
        engine: and precision.
        conditions: as far as they are stated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    figure: str
    paper: str
    origin: str
    device: str
    engine: str
    conditions: str

    def __str__(self) -> str:
        """For captions."""
        return f"{self.paper}, {self.figure}: {self.device}, {self.engine}; {self.conditions}."


@cache
def sources() -> Mapping[str, Source]:
    """Every table's source, by its name."""
    text = (_FOLDER / "sources.json").read_text(encoding="utf-8")
    return {name: Source.model_validate(fields) for name, fields in json.loads(text).items()}


@cache
def table(name: str) -> tuple[Row, ...]:
    """A table's rows; numbers as numbers, an empty cell left out."""
    text = (_FOLDER / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(
        {column: _value(cell) for column, cell in row.items() if cell}
        for row in csv.DictReader(text.splitlines())
    )


def _value(cell: str) -> str | float:
    try:
        return float(cell)
    except ValueError:
        return cell
