"""What the catalogue says over time: figures of the survey (Lu et al., arXiv 2409.15790), computed again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Literal

from toolkit.models.catalogue.entry import Entry

Group = Literal["commonsense", "problem_solving", "mathematics"]
Row = Mapping[str, str | int | float]

# Hoffmann et al., arXiv 2203.15556: about this many tokens per parameter train a model best for its compute.
CHINCHILLA_TOKENS = 20
# TinyLLMLeaderBoard SLM.json @087631a: what the survey draws as lines, shares in the order of GROUPS.
GROUPS: tuple[Group, ...] = ("commonsense", "problem_solving", "mathematics")
BASELINES = {
    "Llama-1-7B": (0.5731, 0.5326, 0.0635),
    "Llama-2-7B": (0.6160, 0.5866, 0.09),
    "Llama-3-8B": (0.6624, 0.6836, 0.3465),
    "Llama-3.1-8B": (0.6682, 0.6834, 0.3715),
}
# Fig. 3 counts a part under the name of the whole.
_COUNTED_AS = {"Python-Edu": "StarCoder"}
# Upper ends, inclusive: 50,257 and 51,200 are the survey's "50k".
_VOCABULARIES = ((51_200, "50k"), (100_000, "50k-100k"), (150_000, "100k-150k"), (200_000, "150k-200k"))


def half_year(month: str) -> str:
    """``2024-07`` as ``2024 H2``."""
    year, _, number = month.partition("-")
    return f"{year} H{1 if int(number) <= 6 else 2}"


def attention(entry: Entry) -> str | None:
    """The kind of attention."""
    return entry.architecture.attention


def feed_forward(entry: Entry) -> str | None:
    """Gated or dense."""
    return entry.architecture.feed_forward


def feed_forward_ratio(entry: Entry) -> str | None:
    """The survey's bins of the ratio of widths, and what lies between them."""
    ratio = entry.architecture.feed_forward_ratio
    if ratio is None:
        return None
    if abs(ratio - 2.75) < 0.01:
        return "2.75"
    if abs(ratio - 4) < 0.01:
        return "4"
    return "<2.75" if ratio < 2.75 else ("2.75-4" if ratio < 4 else ">4")


def activation(entry: Entry) -> str | None:
    """The activation's name."""
    return entry.architecture.activation


def norm(entry: Entry) -> str | None:
    """RMSNorm or LayerNorm, without what is special about it."""
    return entry.architecture.norm and entry.architecture.norm.split(" ")[0]


def vocabulary(entry: Entry) -> str | None:
    """The survey's bins of the vocabulary's size."""
    size = entry.architecture.vocabulary
    if size is None:
        return None
    return next((name for end, name in _VOCABULARIES if size <= end), ">200k")


# Bins in the order of what they hold.
BINS = {
    "feed_forward_ratio": ("<2.75", "2.75", "2.75-4", "4", ">4"),
    "vocabulary": ("50k", "50k-100k", "100k-150k", "150k-200k", ">200k"),
}
FACTS: dict[str, tuple[str, Callable[[Entry], str | None]]] = {
    "attention": ("Attention", attention),
    "feed_forward": ("Feed-forward", feed_forward),
    "feed_forward_ratio": ("Feed-forward width over hidden size", feed_forward_ratio),
    "activation": ("Activation", activation),
    "norm": ("Norm", norm),
    "vocabulary": ("Vocabulary", vocabulary),
}


def by_half_year(entries: Iterable[Entry], fact: Callable[[Entry], str | None]) -> list[Row]:
    """Models of each half-year with each value (Fig. 1 and 2); without those of which it is not known."""
    counted: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        value = fact(entry)
        if entry.released is not None and value is not None:
            counted[half_year(entry.released), value] += 1
    return [{"half_year": when, "value": value, "models": n} for (when, value), n in sorted(counted.items())]


def dataset_use(entries: Iterable[Entry]) -> list[Row]:
    """How many models of each year learned from each open data set (Fig. 3)."""
    counted: Counter[tuple[str, str]] = Counter()
    for entry in entries:
        if entry.released is not None and entry.training.open_datasets:
            names = {_COUNTED_AS.get(name, name) for name in entry.training.datasets or ()}
            counted.update((entry.released[:4], name) for name in names)
    return [{"year": year, "dataset": name, "models": n} for (year, name), n in sorted(counted.items())]


def scaling(entries: Iterable[Entry]) -> list[Row]:
    """Parameters and tokens of each model, with its commonsense accuracy where one is published (Fig. 4)."""
    rows: list[Row] = []
    for entry in entries:
        parameters, tokens, accuracy = entry.parameters, entry.training.tokens, entry.accuracy
        if parameters is None or tokens is None:
            continue
        row: dict[str, str | int | float] = {
            "model": entry.name,
            "parameters": parameters.unique,
            "tokens": tokens,
            "tokens_per_parameter": round(tokens / parameters.unique, 2),
        }
        if accuracy is not None and accuracy.commonsense is not None:
            row["commonsense"] = accuracy.commonsense
        rows.append(row)
    return rows


def accuracies(entries: Iterable[Entry], group: Group) -> list[Row]:
    """Published accuracy by month (Fig. 5), oldest first."""
    rows: list[Row] = []
    for entry in entries:
        value = getattr(entry.accuracy, group) if entry.accuracy else None
        if value is not None and entry.released is not None and entry.parameters is not None:
            rows.append(
                {
                    "model": entry.name,
                    "organisation": entry.organisation or "not known",
                    "released": entry.released,
                    "parameters": entry.parameters.unique,
                    "accuracy": value,
                }
            )
    return sorted(rows, key=lambda row: (row["released"], row["accuracy"]))


def frontier(rows: Iterable[Row]) -> list[Row]:
    """Those of :func:`accuracies` that were the best when they came out; one a month."""
    ordered = sorted(rows, key=lambda row: (row["released"], -float(row["accuracy"])))
    months = [row for row in ordered[:1]] + [
        b for a, b in pairwise(ordered) if a["released"] != b["released"]
    ]
    best: list[Row] = []
    for row in months:
        if not best or float(row["accuracy"]) > float(best[-1]["accuracy"]):
            best.append(row)
    return best
