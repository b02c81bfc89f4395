"""Runs as the first export format (slm-stored-run/1) held them: energy as fields of run and repetition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from toolkit.store.measurements import VOCABULARY
from toolkit.store.rows import EnergyMethod

FIRST = "slm-stored-run/1"

_OF_RUN = (
    "baseline_watts",
    "mean_watts",
    "net_watts",
    "joules_per_prompt",
    "prefill_joules_per_token",
    "decode_joules_per_token",
    "battery_rise_celsius",
    "cpu_rise_celsius",
)
_OF_REPETITION = ("prefill_joules", "decode_joules")


def of_first_schema(data: Mapping[str, Any]) -> dict[str, Any]:
    """The same run as it is written today; what does not look like one is left for the checks to refuse."""
    run, repetitions = data.get("run"), data.get("repetitions")
    if not isinstance(run, dict) or not isinstance(repetitions, list) or "measurements" in data:
        return dict(data)
    run = dict(run)
    measurements = list(_taken(run, _OF_RUN, None))
    energy = {part.name: run.pop(f"energy_{part.name}", None) for part in fields(EnergyMethod)}
    kept = []
    for repetition in repetitions:
        if isinstance(repetition, dict):
            repetition = dict(repetition)
            measurements += _taken(repetition, _OF_REPETITION, repetition.get("index"))
        kept.append(repetition)
    run["energy"] = None if energy["source"] is None else energy
    return {**data, "run": run, "repetitions": kept, "measurements": measurements}


def _taken(fields_of: dict[str, Any], names: tuple[str, ...], repetition: Any) -> Iterator[dict[str, Any]]:
    """Takes the fields out; those that are known, as measurements."""
    for name in names:
        value = fields_of.pop(name, None)
        if value is not None:
            unit = VOCABULARY.get(name).unit
            yield {"name": name, "value": value, "unit": unit, "repetition": repetition}
