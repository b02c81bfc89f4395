"""Two artifacts measured by turns: every figure that both have, and whether they differ in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.analysis.compare import Change, change, refuse_to_mix
from toolkit.analysis.compared_figures import FIGURES, Figure
from toolkit.analysis.condition_key import axis_parts
from toolkit.analysis.groups import Group, group, load_samples
from toolkit.analysis.noise import load_noise
from toolkit.store.store import Store

# In which two artifacts may differ, with what follows from it; all else is the same or not compared.
_AXES = ("model", "quantization", "backend", "context")


@dataclass(frozen=True)
class FigureOfTwo:
    """One figure of both.

    Attributes:
        change: of the right one against the left one.
    """

    figure: Figure
    left: Group
    right: Group
    change: Change


def compare_two(store: Store, left: str, right: str, run_ids: Sequence[str]) -> list[FigureOfTwo]:
    """Compare two artifacts in every figure that the runs of both have.

    Args:
        store: where the runs are.
        left: an artifact's hash.
        right: the other one's.
        run_ids: their runs.

    Raises:
        ConditionsDiffer: something changed between the runs, beside the artifact.
    """
    found = []
    for name in FIGURES:
        figure = FIGURES.get(name)
        # Not every run has every figure.
        groups = group(load_samples(store, figure, run_ids=run_ids), figure)
        refuse_to_mix(groups, axis_parts(_AXES))
        of = {one.key.artifact_sha256: one for one in groups}
        if left in of and right in of:
            noise = load_noise(store, figure, [one.key for one in groups])
            floor = noise.floor(of[left].key, of[right].key)
            found.append(FigureOfTwo(figure, of[left], of[right], change(of[right], of[left], floor)))
    return found
