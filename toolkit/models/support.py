"""What became of tiny models of each family on each engine, as measured: the data of docs/families.md.

``tests/families/matrix.py`` writes the table; nothing in it is written by hand.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Literal

TABLE = Path(__file__).with_name("support.csv")
Outcome = Literal["converts", "coarse", "wrong", "refused", "unjudged", "traceback"]


@dataclass(frozen=True)
class Support:
    """One config on one engine in one scheme.

    Attributes:
        config: name of the tiny config.
        model_type: of its text decoder, as transformers calls it; empty where there is no config.
        engine: name of the engine.
        scheme: quantization.
        outcome: "converts"; "coarse": it does, and the scheme costs random weights more than its limit;
            "wrong": it does and says something else than transformers; "refused"; "unjudged": transformers
            itself does not run it; "traceback": a fault.
        difference: largest difference of a logit over a prefill, steps and a prefill in chunks; fp32 only.
        divergence: mean KL divergence from transformers in nats; quantized schemes only.
        reason: why not.
        same_from_cache: whether a conversion with a full cache gave the same bytes as one with an empty one;
            None where that was not tried.
        official: whether the runtime as its makers publish it gave transformers' greedy tokens, without the
            toolkit's code; fp32 only, None where that was not tried or did not run.
        runner: whether `slm profile` gave the host's greedy tokens with a prompt in chunks; fp32 only,
            None where that was not tried or did not run.
    """

    config: str
    model_type: str
    engine: str
    scheme: str
    outcome: Outcome
    difference: float | None = None
    divergence: float | None = None
    reason: str = ""
    same_from_cache: bool | None = None
    official: bool | None = None
    runner: bool | None = None


def read_support(table: Path = TABLE) -> list[Support]:
    """All rows; none where nothing was measured."""
    if not table.is_file():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return [_row(row) for row in csv.DictReader(file)]


def write_support(rows: Iterable[Support], table: Path = TABLE) -> None:
    """Replace the table, sorted."""
    ordered = sorted(rows, key=lambda row: (row.config, row.engine, row.scheme))
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Support)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {key: "" if value is None else value for key, value in asdict(row).items()} for row in ordered
        )


@cache
def engines_of(model_type: str) -> Mapping[str, bool]:
    """Engines on which models of a type were tried, and whether any of them converted in fp32.

    Any: among those that were tried are configs that no engine is meant to take.
    """
    tried: dict[str, bool] = {}
    for row in read_support():
        if row.model_type == model_type and row.scheme == "fp32" and row.outcome != "unjudged":
            tried[row.engine] = tried.get(row.engine, False) or row.outcome == "converts"
    return tried


def _row(row: Mapping[str, str]) -> Support:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    def flag(name: str) -> bool | None:
        return row[name] == "True" if row.get(name) else None

    return Support(
        row["config"],
        row["model_type"],
        row["engine"],
        row["scheme"],
        row["outcome"],  # type: ignore[arg-type]  # what was written is of these
        number("difference"),
        number("divergence"),
        row["reason"],
        flag("same_from_cache"),
        flag("official"),
        flag("runner"),
    )
