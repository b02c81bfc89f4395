"""An entry as one row of plain values: for CSV, JSON and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolkit.models.catalogue.entry import Entry

Value = str | int | float | bool | None


def flat(entry: Entry) -> dict[str, Value]:
    """Every fact but the config, by a name with a dot for each level; lists as text, unknown ones None."""
    row: dict[str, Value] = {}
    for name, value in entry.model_dump(mode="json", exclude={"config"}).items():
        if name in ("architecture", "training"):
            row |= {f"{name}.{inner}": _plain(one) for inner, one in value.items()}
        elif name == "parameters":
            row |= {f"parameters.{inner}": value and value[inner] for inner in ("unique", "stored", "active")}
        elif name == "accuracy":
            names = ("commonsense", "problem_solving", "mathematics", "source")
            row |= {f"accuracy.{inner}": value and value[inner] for inner in names}
        else:
            row[name] = _plain(value)
    row["architecture.feed_forward_ratio"] = _rounded(entry.architecture.feed_forward_ratio)
    row["buildable"] = entry.config is not None
    return row


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _plain(value: Any) -> Value:
    if isinstance(value, list):
        return "; ".join(_words(one) for one in value)
    plain: Value = value
    return plain


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items() if one is not None)
    return str(value)
