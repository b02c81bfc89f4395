"""The vocabulary of measurements: what a stored figure's name means, and its unit.

A name written down here can be stored of any run, filtered and sorted by, exported and asked for in SQL; the
tables stay as they are. Figures that every run has are columns of the table of runs instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from toolkit.errors import UsageError
from toolkit.registry import Registry
from toolkit.store.rows import Measurement

NS_PER_S = 1_000_000_000

Of = Literal["run", "repetition"]


@dataclass(frozen=True)
class Quantity:
    """One name of the vocabulary.

    Attributes:
        name: a lower-case identifier that ends in its unit, unlike every column of runs or repetitions.
        unit: of the stored values.
        definition: what is measured, in one sentence.
        of: whether a run has one, or each of its repetitions.
    """

    name: str
    unit: str
    definition: str
    of: Of = "run"

    def __post_init__(self) -> None:
        # The name becomes a column in SQL.
        if not (self.name.isascii() and self.name.isidentifier() and self.name.islower()):
            raise ValueError(f"{self.name!r} cannot be the name of a measurement")


# Parts of a model, as docs/protocol.md defines them.
_PARTS = {
    "embedding": "looking tokens and positions up",
    "attention": "attention with its projections",
    "feed_forward": "feed-forwards and experts",
    "norms": "norms, with the additions fused into them",
    "lm_head": "the output projection",
    "engine": "the engine's own work between operators, its tracing included,",
    "runner": "what the runner does between the engine's calls",
    "other": "all other operators (and of the engine's work, in runs without a share of that)",
}

# Kinds of operators as tables and charts name them.
OPERATOR_NAMES = {
    "products": "matrix products",
    "attention": "fused attention",
    "norms": "norms",
    "elementwise": "elementwise",
    "copies": "copies",
    "quantizing": "quantizing",
    "other": "other",
}

# The same, as docs/protocol.md defines them.
_OPERATORS = {
    "products": "matrix products",
    "attention": "attention that the engine has as one operator",
    "norms": "norms",
    "elementwise": "arithmetic on each element, activations, softmax and rotations",
    "copies": "look-ups, casts and whatever else moves values",
    "quantizing": "activations' rounding to 8 bits and back",
    "other": "all other operators, and the engine's and the runner's work between them",
}

# Parts of the peak memory, as docs/protocol.md defines them.
_MEMORY_PARTS = {
    "weights_mapped": "pages of the model's files",
    "weights_packed": "weights in the order in which the runner's kernels read them",
    "states": "the KV cache and other states, as far as they were touched",
    "compute": "activations and whatever else the engine allocated",
    "engine": "pages of the program's and the engine's files",
    "other": "what the peak had beside what was left after the last repetition",
}

VOCABULARY: Registry[Quantity] = Registry("measurement", UsageError)
for _quantity in (
    Quantity("baseline_watts", "W", "power of the idle phone, with the model loaded"),
    Quantity("mean_watts", "W", "power during the repetitions"),
    Quantity("net_watts", "W", "mean_watts less baseline_watts"),
    Quantity("joules_per_prompt", "J", "net energy of one whole repetition: prefill and all decode steps"),
    Quantity("prefill_joules_per_token", "J", "net energy of the prefill / prompt tokens"),
    Quantity("decode_joules_per_token", "J", "net energy of the decode steps / their number"),
    Quantity(
        "battery_rise_celsius", "C", "the battery's highest reading after a repetition less the first before"
    ),
    Quantity("cpu_rise_celsius", "C", "the same of the hottest CPU zone"),
    Quantity(
        "combined_tokens_per_second", "tok/s",
        "(prompt tokens + decode steps) / time of both together, as llama-bench -pg times them",
    ),
    *(
        Quantity(
            f"{phase}_{part}_percent",
            "%",
            f"share of {words} in the {phase} of a traced pass of its own",
        )
        for phase in ("prefill", "decode")
        for part, words in _PARTS.items()
    ),
    *(
        Quantity(
            f"{phase}_operators_{kind}_percent",
            "%",
            f"share of {words} in the same {phase}, by the engine's names of its operators",
        )
        for phase in ("prefill", "decode")
        for kind, words in _OPERATORS.items()
    ),
    *(
        Quantity(
            f"{phase}_trace_overhead_percent",
            "%",
            f"how much longer the {phase} took in the traced pass than in untraced ones by turns with it",
        )
        for phase in ("prefill", "decode")
    ),
    *(
        Quantity(f"memory_{part}_bytes", "bytes", f"of the peak memory: {words}")
        for part, words in _MEMORY_PARTS.items()
    ),
    Quantity("prefill_joules", "J", "net energy of a repetition's prefill", "repetition"),
    Quantity("decode_joules", "J", "net energy of a repetition's decode steps", "repetition"),
    Quantity("combined_ns", "ns", "time of a repetition's prefill and decode steps together", "repetition"),
):  # fmt: skip
    VOCABULARY.register(_quantity.name, _quantity)


def quantities(of: Of) -> Iterator[Quantity]:
    """The vocabulary of runs or of repetitions, in the order of registration."""
    return (quantity for name in VOCABULARY if (quantity := VOCABULARY.get(name)).of == of)


def measurement(name: str, value: float, repetition: int | None = None) -> Measurement:
    """A measurement of the vocabulary.

    Raises:
        UsageError: no such name.
        ValueError: of a repetition although the name is a run's, or the other way round.
    """
    quantity = VOCABULARY.get(name)
    if (quantity.of == "repetition") != (repetition is not None):
        raise ValueError(f"{name} is measured of each {quantity.of}")
    return Measurement(name=name, value=float(value), unit=quantity.unit, repetition=repetition)


def tokens_per_second(tokens: int, duration_ns: int) -> float:
    """The rate of prefill and decode: tokens / time; the time must not be 0."""
    return tokens * NS_PER_S / duration_ns
