"""Has anything become worse than a tagged baseline? What counts, and what had no partner; made for CI."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from toolkit.analysis.compare import Change, change
from toolkit.analysis.compared_figures import Figure
from toolkit.analysis.condition_key import (
    VERSION_PARTS,
    Difference,
    allowing,
    axis_parts,
    differences,
    setting_names,
    without,
)
from toolkit.analysis.groups import SEED, Group, load_groups
from toolkit.analysis.lacking import Lacking, lacking_in
from toolkit.analysis.left_out import LeftOut, left_out_words, load_left_out
from toolkit.analysis.noise import load_noise
from toolkit.analysis.statistics import Interval
from toolkit.analysis.verdicts import (
    OUTCOMES,
    Outcome,
    Power,
    outcome_of,
    power_of,
    widened,
)
from toolkit.errors import ConditionsDiffer, RunNotFound, UsageError
from toolkit.store import tables
from toolkit.store.filters import Filter, all_of
from toolkit.store.store import Store

Side = Literal["baseline", "candidate"]


@dataclass(frozen=True)
class Check:
    """One figure under one set of conditions, now and in the baseline.

    Attributes:
        baseline: the tagged runs.
        candidate: the runs that are checked. Of versions of one candidate only the newest is; candidates that
            differ in anything else that an axis allows have a check each.
        change: the candidate against the baseline.
        worse_by: how much worse, as a share of the baseline; negative when better.
        interval: of that, widened by the noise between equal runs.
        outcome: the interval held against the limit; see :mod:`toolkit.analysis.verdicts`.
        power: how many runs would decide an inconclusive one; None for the others.
    """

    baseline: Group
    candidate: Group
    change: Change
    worse_by: float
    interval: Interval
    outcome: Outcome
    power: Power | None = None


@dataclass(frozen=True)
class Unpaired:
    """A group whose conditions the other side does not have.

    Attributes:
        side: which side the group is on.
        group: it.
        nearest: the closest group of the other side, or None when that is empty.
        differences: what keeps the two apart.
        left_out: runs of the other side under these conditions that are not ok, so that nothing can be told.
    """

    side: Side
    group: Group
    nearest: Group | None
    differences: tuple[Difference, ...]
    left_out: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class Regression:
    """The outcome of a check against a baseline; the worst check first.

    Attributes:
        checks: what was measured on both sides.
        unpaired: what was not.
        left_out: runs of either side that are not ok.
        lacking: figures that were asked for and that the baseline, or some of its conditions, does not have:
            inconclusive, too.
    """

    checks: tuple[Check, ...]
    unpaired: tuple[Unpaired, ...]
    left_out: tuple[LeftOut, ...] = ()
    lacking: tuple[Lacking, ...] = ()

    @property
    def regressions(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.outcome == "worse")

    @property
    def inconclusive(self) -> tuple[Check, ...]:
        """The checks that nobody can tell about."""
        return tuple(check for check in self.checks if check.outcome == "inconclusive")

    @property
    def untold(self) -> tuple[Unpaired, ...]:
        """Conditions of the baseline that only runs which are not ok measured again: inconclusive, too."""
        return tuple(unpaired for unpaired in self.missing if unpaired.left_out)

    @property
    def missing(self) -> tuple[Unpaired, ...]:
        """Conditions of the baseline that no run that is ok measured again."""
        return tuple(unpaired for unpaired in self.unpaired if unpaired.side == "baseline")


def regress(
    store: Store,
    figures: Sequence[Figure],
    baseline_tag: str,
    *,
    limit: float,
    axes: Sequence[str] = ("version",),
    where: Filter | str | None = None,
    may_lack: bool = False,
    seed: int = SEED,
) -> Regression:
    """Compare runs with a baseline, condition by condition.

    Args:
        store: where the runs are.
        figures: what to check.
        baseline_tag: the tag of the baseline's runs.
        limit: how much worse is a regression: 0.05 is 5 %.
        axes: what may differ from the baseline; everything else must be equal.
        where: which runs to check. All that were started after the baseline's newest if None; runs with
            the baseline's tag never.
        may_lack: whether figures that the baseline lacks are passed over, as those that nobody named are.
        seed: of the bootstrap.

    Raises:
        BadFilter: a filter or axis that cannot be read.
        RunNotFound: no run with the tag is ok, or there is nothing to check.
        ConditionsDiffer: the baseline mixes versions, or not one condition is on both sides.
        UsageError: a limit that a figure could never be beyond.
    """
    _refuse_idle_limit(figures, limit)
    tagged = tables.runs.c.id.in_(sa.select(tables.tags.c.run_id).where(tables.tags.c.tag == baseline_tag))
    baselines = {figure: load_groups(store, figure, where=tagged, seed=seed) for figure in figures}
    started = [group.runs[-1].created_unix_ns for groups in baselines.values() for group in groups]
    checked = _checked(tagged, where, max(started, default=0))
    sides = {
        figure: (baseline, load_groups(store, figure, where=checked, seed=seed))
        for figure, baseline in baselines.items()
        if baseline
    }
    lost, again = load_left_out(store, tagged), load_left_out(store, checked)
    keys = [group.key for pair in sides.values() for groups in pair for group in groups]
    keys += [one.key for one in (*lost, *again)]
    # Settings of imported runs are axes, too. Without a baseline none is known, and that will be said.
    allowed = axis_parts(axes, setting_names(keys)) if sides else ()
    checks: list[Check] = []
    unpaired: list[Unpaired] = []
    for figure, (baseline, candidates) in sides.items():
        old = _by_conditions(baseline, allowed)
        new = {key: _newest_versions(groups) for key, groups in _by_conditions(candidates, allowed).items()}
        for groups in old.values():
            _refuse_mixed_baseline(groups, baseline_tag)
        checks += _checks(store, figure, old, new, limit)
        unpaired += _all_unpaired("baseline", old, new, allowed, again)
        unpaired += _all_unpaired("candidate", new, old, allowed, lost)
    _refuse_nothing(checks, unpaired, baseline_tag, axes, lost, again)
    checks.sort(key=lambda check: (OUTCOMES.index(check.outcome), -check.worse_by))
    lacking = () if may_lack else lacking_in(store, tagged, baselines, allowed)
    return Regression(tuple(checks), tuple(unpaired), (*lost, *again), lacking)


def _refuse_idle_limit(figures: Sequence[Figure], limit: float) -> None:
    """What gets worse by getting lower loses less than 100 %: such a check would never fail."""
    idle = [figure.name for figure in figures if figure.higher_is_better and limit >= 1]
    if idle:
        raise UsageError(
            f"{', '.join(idle)} cannot get worse by {limit:.0%} or more, as a rate never falls below zero",
            subject=f"a limit of {limit:.0%}",
            next_step="Give a limit below 100 %, or only figures that get worse by getting higher, such as "
            "ttft, load and memory.",
        )


def _checked(tagged: Filter, where: Filter | str | None, newest_unix_ns: int) -> Filter:
    if where is None:
        return sa.and_(sa.not_(tagged), tables.runs.c.created_unix_ns > newest_unix_ns)
    return sa.and_(sa.not_(tagged), all_of(where) if isinstance(where, str) else where)


def _by_conditions(groups: Sequence[Group], allowed: Sequence[str]) -> dict[Any, list[Group]]:
    """Groups by what must be equal; the newest one of each first, as they are loaded."""
    sorted_in: dict[Any, list[Group]] = defaultdict(list)
    for group in groups:
        sorted_in[without(group.key, allowed)].append(group)
    return sorted_in


def _newest_versions(groups: Sequence[Group]) -> list[Group]:
    """Of groups that differ in their versions alone the first, which is the newest; the others all."""
    newest: dict[Any, Group] = {}
    for group in groups:
        newest.setdefault(without(group.key, VERSION_PARTS), group)
    return list(newest.values())


def _checks(
    store: Store, figure: Figure, old: dict[Any, list[Group]], new: dict[Any, list[Group]], limit: float
) -> list[Check]:
    pairs = [(groups[0], candidate) for key, groups in old.items() for candidate in new.get(key, ())]
    sides = {run.run_id: side for pair in pairs for side, group in enumerate(pair) for run in group.runs}
    keys = [group.key for pair in pairs for group in pair]
    # Other runs are a side of their own: their differences among each other are noise, too.
    noise = load_noise(store, figure, keys, lambda run_id: sides.get(run_id, 2))
    checks = []
    for base, candidate in pairs:
        found = change(candidate, base, noise)
        checks.append(_check(base, candidate, found, limit))
    return checks


def _check(base: Group, candidate: Group, found: Change, limit: float) -> Check:
    runs, baseline_runs = len(candidate.runs), len(base.runs)
    noise = found.noise.relative if found.noise else None
    interval = widened(found.interval, found.relative, noise, runs, baseline_runs)
    worse_by = found.relative
    if base.figure.higher_is_better:
        worse_by, interval = -worse_by, Interval(-interval.high, -interval.low, interval.level)
    if noise is None:
        return Check(base, candidate, found, worse_by, interval, "inconclusive", found.power)
    outcome = outcome_of(interval, limit)
    needed = power_of(interval, worse_by, limit, runs, baseline_runs) if outcome == "inconclusive" else None
    return Check(base, candidate, found, worse_by, interval, outcome, needed)


def _all_unpaired(
    side: Side,
    mine: dict[Any, list[Group]],
    theirs: dict[Any, list[Group]],
    allowed: Sequence[str],
    left_out: Sequence[LeftOut],
) -> list[Unpaired]:
    others = [group for groups in theirs.values() for group in groups]
    by_conditions: dict[Any, list[LeftOut]] = defaultdict(list)
    for one in left_out:
        by_conditions[without(one.key, allowed)].append(one)
    return [
        replace(_unpaired(side, group, others, allowed), left_out=tuple(by_conditions[key]))
        for key, groups in mine.items()
        if key not in theirs
        for group in groups
    ]


def _unpaired(side: Side, group: Group, others: Sequence[Group], allowed: Sequence[str]) -> Unpaired:
    if not others:
        return Unpaired(side, group, None, ())
    # One that can never be compared is near only when there is no other.
    apart = {id(other): differences(group.key, other.key, allowed) for other in others}
    nearest = min(others, key=lambda other: (not allowing(apart[id(other)]), len(apart[id(other)])))
    return Unpaired(side, group, nearest, tuple(differences(group.key, nearest.key, allowed)))


def _refuse_mixed_baseline(groups: Sequence[Group], tag: str) -> None:
    for other in groups[1:]:
        apart = "; ".join(map(str, differences(groups[0].key, other.key)))
        some = f"{groups[0].runs[0].run_id} and {other.runs[0].run_id}"
        raise ConditionsDiffer(
            f"the baseline holds runs of several versions; they differ in {apart}",
            subject=f"tag {tag!r}",
            next_step=f"Untag one side; runs {some} are on different ones.",
        )


def _refuse_nothing(
    checks: Sequence[Check],
    unpaired: Sequence[Unpaired],
    tag: str,
    axes: Sequence[str],
    lost: Sequence[LeftOut],
    again: Sequence[LeftOut],
) -> None:
    """A check that compared nothing must not pass."""
    if checks:
        return
    subject = f"tag {tag!r}"
    if not any(one.side == "baseline" for one in unpaired):
        raise RunNotFound(
            f"no run with this tag is ok and has the figures{_and_left_out(lost)}",
            subject=subject,
            next_step="Give the baseline's runs the tag with: slm results tag TAG RUN...",
        )
    lonely = [one for one in unpaired if one.side == "baseline" and one.differences]
    if not lonely:
        raise RunNotFound(
            f"there is no run to check against the baseline{_and_left_out(again)}",
            subject=subject,
            next_step="Profile again, or choose runs with --where."
            + (f" Why a run was left out: slm results show {again[0].run_id}" if again else ""),
        )
    # Those that come closest; following the advice must then compare something.
    nearest = min(lonely, key=lambda one: (not allowing(one.differences), len(one.differences)))
    named = "; ".join(map(str, nearest.differences))
    allow = allowing(nearest.differences)
    asked = " ".join(f"--axis {axis}" for axis in (*axes, *allow))
    raise ConditionsDiffer(
        f"no condition was measured on both sides; the closest differ in {named}{_and_left_out(again)}",
        subject=subject,
        next_step=f"Allow that with {asked}, or profile under the baseline's conditions."
        if allow
        else "Profile under the baseline's conditions: runs that differ so are never compared.",
    )


def _and_left_out(left: Sequence[LeftOut]) -> str:
    return f"; {left_out_words(left)}" if left else ""
