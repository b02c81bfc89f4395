"""Two artifacts: every figure and score that both have, and whether they differ in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from toolkit.analysis.compare import Change, axis_options, change, refuse_to_mix
from toolkit.analysis.compared_figures import FIGURES, Figure
from toolkit.analysis.condition_key import axis_parts
from toolkit.analysis.groups import Group, group, load_samples
from toolkit.analysis.noise import load_noise
from toolkit.analysis.scores import SIGNIFICANT, Paired, Scored, paired_scores, scores_of_artifacts
from toolkit.store.rows import Score
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
        refuse_to_mix(groups, axis_parts(_AXES), lambda axes: by_hand(run_ids, axes))
        of = {one.key.artifact_sha256: one for one in groups}
        if left in of and right in of:
            noise = load_noise(store, figure, [one.key for one in groups])
            found.append(FigureOfTwo(figure, of[left], of[right], change(of[right], of[left], noise)))
    return found


def by_hand(run_ids: Sequence[str], axes: Sequence[str] = ()) -> str:
    """The command that compares runs of two artifacts, which may differ along some axes more."""
    return f"slm results compare {' '.join(run_ids)} {axis_options([*_AXES, *axes])}"


@dataclass(frozen=True)
class ScoresOfTwo:
    """One score of both, on the same items.

    Attributes:
        truncated: prompts that did not fit were cut.
        paired: how the right one's items differ from the left one's; None where items are not kept.
    """

    left: Score
    right: Score
    truncated: bool
    paired: Paired | None

    @property
    def verdict(self) -> str | None:
        """What the right one is: better or worse only when the paired test says so; None without one."""
        if self.paired is None or self.left.higher_is_better is None:
            return None
        if self.paired.p_value >= SIGNIFICANT:
            return "inconclusive"
        return "better" if (self.paired.difference > 0) == self.left.higher_is_better else "worse"


def compare_scores(store: Store, left: str, right: str, seed: int = 0) -> list[ScoresOfTwo]:
    """Compare the latest scores of two artifacts, at the place where both answered last if there is one.

    Args:
        store: where evaluations are.
        left: an artifact's hash.
        right: the other one's.
        seed: of the draws.
    """
    found = []
    for members in scores_of_artifacts(store, {left, right}):
        ours, theirs = (_by_place(members, sha256) for sha256 in (right, left))
        if not ours or not theirs:
            continue
        place = next((one for one in reversed(ours) if one in theirs), next(reversed(ours)))
        mine, other = ours[place], theirs.get(place, list(theirs.values())[-1])
        compared = paired_scores(store, mine, other, seed)
        found.append(ScoresOfTwo(other[1], mine[1], mine[0].truncated, compared))
    return found


def _by_place(members: Sequence[Scored], sha256: str) -> dict[str, Scored]:
    """An artifact's scores by the place where it answered, the latest last."""
    own = [one for one in members if one[0].artifact_sha256 == sha256]
    return {one[0].place_identity: one for one in sorted(own, key=lambda one: one[0].created_unix_ns)}
