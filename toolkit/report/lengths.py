"""How speed goes with one length, all other conditions being equal: which configurations can show it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from toolkit.report.configurations import Configuration, Workload

Length = Literal["prompt_tokens", "depth", "context_length"]


@dataclass(frozen=True)
class OverLength:
    """A chart of a figure over a length: both by the names of their fields."""

    measured: str
    length: Length


OVER_LENGTHS: Mapping[str, OverLength] = {
    "prefill_over_prompt": OverLength("prefill", "prompt_tokens"),
    "decode_over_prompt": OverLength("decode", "prompt_tokens"),
    "prefill_over_depth": OverLength("prefill", "depth"),
    "decode_over_depth": OverLength("decode", "depth"),
    "prefill_over_context": OverLength("prefill", "context_length"),
    "decode_over_context": OverLength("decode", "context_length"),
}


def series(label: str) -> str:
    """A configuration's label without what follows from the prompt's length."""
    return re.sub(r", chunks of \d+", "", label)


def apart_from(workload: Workload, length: Length) -> Workload:
    """The workload with that length left out, to tell which ones differ in nothing else."""
    changes: dict[str, int] = {length: 0}
    return replace(workload, **changes)  # type: ignore[arg-type]


def charts_over_lengths(configurations: Sequence[Configuration], labels: Sequence[str]) -> set[str]:
    """The charts for which some configuration was measured at two lengths or more."""
    found: dict[tuple[object, ...], set[int]] = defaultdict(set)
    for configuration, label in zip(configurations, labels, strict=True):
        for chart, over in OVER_LENGTHS.items():
            if over.measured in configuration.measured:
                others = apart_from(configuration.workload, over.length)
                key = (chart, configuration.device.key, series(label), others)
                found[key].add(getattr(configuration.workload, over.length))
    return {str(chart) for (chart, *_), lengths in found.items() if len(lengths) > 1}
