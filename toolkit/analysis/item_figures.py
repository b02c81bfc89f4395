"""What kept items come to: a mean, or a function of a ratio of sums, such as a perplexity over tokens."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

_WEIGHT = "weight"


def _exponential(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


# Of negative log-likelihoods, in nats per word, byte or token.
_OF_RATIO: Mapping[str, Callable[[float], float]] = {
    **dict.fromkeys(("perplexity", "perplexity_ratio", "word_perplexity", "byte_perplexity"), _exponential),
    "bits_per_byte": lambda nats: nats / math.log(2),
}
# Metrics of the harness whose items are a log-likelihood and a number of words or bytes.
ROLLING = ("word_perplexity", "byte_perplexity", "bits_per_byte")


def weighted(name: str, total: float, weight: float) -> dict[str, float]:
    """A metric of an item that is the sum of ``weight`` parts, as items keep it.

    Args:
        name: the metric, with its filter: "mean_kl,none".
        total: over the parts; negative log-likelihoods, not perplexities.
        weight: how many parts there are.
    """
    return {name: total, f"{name},{_WEIGHT}": weight}


@dataclass(frozen=True)
class ItemValues:
    """One metric of a model's items.

    Attributes:
        metric: as scores call it.
        totals: of each item; its value where it is one part.
        weights: parts of each; None where an item is one, whatever its length.
    """

    metric: str
    totals: Sequence[float]
    weights: Sequence[float] | None

    @classmethod
    def of(cls, items: Sequence[Mapping[str, float]], name: str) -> ItemValues:
        """From the metrics of items that all have this one; ``name`` with its filter."""
        weight = f"{name},{_WEIGHT}"
        every = all(weight in one for one in items)
        weights = [one[weight] for one in items] if every else None
        return cls(name.partition(",")[0], [one[name] for one in items], weights)

    def figure(self, chosen: Sequence[int] | None = None) -> float:
        """The score that some of the items come to, each as often as it is chosen; by default all once."""
        indices = range(len(self.totals)) if chosen is None else chosen
        total = math.fsum(self.totals[index] for index in indices)
        if self.weights is None:
            mean = total / len(indices)
            # The harness keeps log-likelihoods of items, and shows a perplexity.
            return _exponential(-mean) if self.metric == "perplexity" else mean
        ratio = total / math.fsum(self.weights[index] for index in indices)
        return _OF_RATIO.get(self.metric, float)(ratio)
