"""Labels that tell apart what the condition key tells apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from toolkit.analysis.condition_key import PARTS, ConditionKey, expanded, shown


def told_apart(
    labels: Sequence[str], keys: Sequence[ConditionKey], without: Collection[str] = ()
) -> list[str]:
    """The labels; those that are equal although their keys differ get the parts that differ, one by one.

    Args:
        labels: of each key; equal keys may have equal ones.
        keys: as many.
        without: parts that must not tell them apart; keys that differ must differ in another one.
    """
    told = list(labels)
    alike: dict[str, list[int]] = defaultdict(list)
    for index, label in enumerate(labels):
        alike[label].append(index)
    for label, indices in alike.items():
        different = list(dict.fromkeys(keys[index] for index in indices))
        if len(different) > 1:
            suffixes = dict(zip(different, _suffixes(different, without), strict=True))
            for index in indices:
                told[index] = f"{label}, {suffixes[keys[index]]}"
    return told


def _suffixes(keys: Sequence[ConditionKey], without: Collection[str]) -> list[str]:
    """As few of the differing parts as tell all of these keys apart, the readable ones first."""
    parts = [
        part
        for part in expanded(PARTS, keys)
        if part not in without and len({key.value(part) for key in keys}) > 1
    ]
    for count in range(1, len(parts) + 1):
        suffixes = [", ".join(f"{part} {shown(key.value(part))}" for part in parts[:count]) for key in keys]
        if len(set(suffixes)) == len(keys):
            return suffixes
    # What is shown is cut short, or written alike: "unknown" may be a value as well.
    return [", ".join(f"{part} {key.value(part)!r}" for part in parts) for key in keys]
