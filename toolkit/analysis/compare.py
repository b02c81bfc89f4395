"""Comparing groups of runs along an axis, and refusing to where anything else differs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from toolkit.analysis.compared_figures import Figure
from toolkit.analysis.condition_key import (
    ConditionKey,
    Difference,
    allowing,
    asked_parts,
    axis_parts,
    differences,
    expanded,
    setting_names,
    shown,
    without,
)
from toolkit.analysis.condition_labels import told_apart
from toolkit.analysis.groups import SEED, Group, load_groups
from toolkit.analysis.noise import NoiseFloor, NoiseFloors, load_noise
from toolkit.analysis.statistics import Interval, cliffs_delta, percentile_interval
from toolkit.analysis.verdicts import Power, power_of, unknown_noise, widened
from toolkit.errors import ConditionsDiffer
from toolkit.store.filters import Filter
from toolkit.store.store import Store

Verdict = Literal["better", "worse", "no difference", "inconclusive"]

# A change that is certainly smaller than this is no difference, as a regression check calls it the same.
SAME_WITHIN = 0.05

# The parts that are shown, and a label of their values for each key.
_Labels = tuple[tuple[str, ...], list[str]]

# Among how many groups the nearest partner of a lonely one is looked for.
_NEAREST_AMONG = 200


@dataclass(frozen=True)
class Change:
    """How one group differs from another.

    Attributes:
        relative: its median over the other's, less one; -0.05 is 5 % less.
        interval: of that.
        cliffs_delta: effect size; 1 when every repetition exceeds all of the other's, -1 the other way round.
        noise: the A/A noise floor, or None when no conditions of these devices were ever repeated, or the few
            that were came out equal.
        verdict: better or worse only when the interval leaves out zero and the change exceeds the floor; no
            difference only when the interval, widened by the floor, is within SAME_WITHIN; else, and
            wherever the floor is unknown, inconclusive.
        power: how many runs would decide an inconclusive one; None for the others.
    """

    relative: float
    interval: Interval
    cliffs_delta: float
    noise: NoiseFloor | None
    verdict: Verdict
    power: Power | None = None


@dataclass(frozen=True)
class Ranked:
    """A place in a ranking; ``change`` is against the best group, and None for that one itself."""

    label: str
    group: Group
    noise: NoiseFloor | None
    change: Change | None


@dataclass(frozen=True)
class Ranking:
    """Groups that differ in the axis asked for only, best first.

    Attributes:
        axes: what was asked.
        allowed: the parts that may differ for them.
        conditions: the key of the best one; all others share it but for ``varying``.
        varying: the parts that do differ: the axis, and what follows from it.
        named: those whose values are the labels, in their order.
        places: at least two.
    """

    axes: tuple[str, ...]
    allowed: tuple[str, ...]
    conditions: ConditionKey
    varying: tuple[str, ...]
    named: tuple[str, ...]
    places: tuple[Ranked, ...]


@dataclass(frozen=True)
class Unranked:
    """A group without a partner.

    Attributes:
        group: it.
        nearest: the group that comes closest, or None when there is no other.
        differences: what keeps the two apart.
    """

    group: Group
    nearest: Group | None
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Comparison:
    """All rankings of a figure, and what could not be ranked."""

    figure: Figure
    rankings: tuple[Ranking, ...]
    unranked: tuple[Unranked, ...]


def compare(
    store: Store,
    figure: Figure,
    axes: Sequence[str],
    *,
    where: Filter | str | None = None,
    run_ids: Sequence[str] = (),
    seed: int = SEED,
) -> Comparison:
    """Rank the chosen runs along axes.

    Args:
        store: where the runs are.
        figure: what to compare.
        axes: of :data:`toolkit.analysis.condition_key.AXES`; everything else must be equal.
        where: only runs that pass this filter. Runs without a partner are listed as unranked.
        run_ids: compare exactly these runs; all must be comparable.
        seed: of the bootstrap.

    Raises:
        BadFilter: a filter or axis that cannot be read.
        ConditionsDiffer: ``run_ids`` are given and differ in more than the axes.
    """
    groups = load_groups(store, figure, where=where, run_ids=run_ids, seed=seed)
    allowed = axis_parts(axes, setting_names(group.key for group in groups))
    if run_ids:
        refuse_to_mix(groups, allowed)
    return rank(groups, axes, load_noise(store, figure, [group.key for group in groups]), figure)


def rank(groups: Sequence[Group], axes: Sequence[str], noise: NoiseFloors, figure: Figure) -> Comparison:
    """Rank groups that are comparable along axes; see :func:`compare`."""
    allowed = axis_parts(axes, setting_names(group.key for group in groups))
    comparable: dict[Any, list[Group]] = defaultdict(list)
    for group in groups:
        comparable[without(group.key, allowed)].append(group)
    rankings = [
        _ranking(members, tuple(axes), allowed, noise) for members in comparable.values() if len(members) > 1
    ]
    alone = [members[0] for members in comparable.values() if len(members) == 1]
    return Comparison(figure, tuple(rankings), tuple(_unranked(group, groups, allowed) for group in alone))


def axis_options(axes: Sequence[str]) -> str:
    """Axes as a command line has them."""
    return " ".join(f"--axis {axis}" for axis in axes)


def _ask_with(axes: Sequence[str]) -> str:
    return f"Ask for all that differs with {axis_options(axes)}, or choose runs that share it."


def refuse_to_mix(
    groups: Sequence[Group], allowed: Sequence[str], ask: Callable[[Sequence[str]], str] = _ask_with
) -> None:
    """Make sure that all groups may be ranked in one list.

    Args:
        groups: of runs.
        allowed: parts in which they may differ.
        ask: how to have the runs compared all the same, along some axes more.

    Raises:
        ConditionsDiffer: names the parts in which two of them differ, and both values.
    """
    for group in groups[1:]:
        found = differences(groups[0].key, group.key, allowed)
        if found:
            raise ConditionsDiffer(
                f"must not be ranked: they differ in {'; '.join(map(str, found))}",
                subject=f"runs {groups[0].runs[0].run_id} and {group.runs[0].run_id}",
                next_step=ask(axes)
                if (axes := allowing(found))
                else "Choose runs of one side: the two are never compared.",
            )


def change(group: Group, base: Group, floors: NoiseFloors) -> Change:
    """How ``group`` differs from ``base``."""
    noise = floors.floor(group.key, base.key)
    relative = group.median / base.median - 1
    replicates = [
        one / other - 1 for one, other in zip(group.replicates, base.replicates, strict=False)
    ]  # of equal length but for very large groups
    interval = percentile_interval(replicates)
    if noise is None:
        equal_runs = floors.equal_runs(group.key, base.key)
        power: Power | None = unknown_noise(len(group.runs), len(base.runs), equal_runs)
        verdict: Verdict = "inconclusive"
    else:
        verdict, power = _verdict(group, base, relative, interval, noise)
    return Change(
        relative=relative,
        interval=interval,
        cliffs_delta=cliffs_delta(group.values, base.values),
        noise=noise,
        verdict=verdict,
        power=power,
    )


def _verdict(
    group: Group, base: Group, relative: float, interval: Interval, noise: NoiseFloor
) -> tuple[Verdict, Power | None]:
    runs, base_runs = len(group.runs), len(base.runs)
    beyond_noise = exceeds(relative, noise.relative)
    if beyond_noise and not interval.holds(0.0):
        return ("better" if group.figure.is_better(group.median, base.median) else "worse"), None
    possible = widened(interval, relative, noise.relative, runs, base_runs)
    if not exceeds(possible.low, SAME_WITHIN) and not exceeds(possible.high, SAME_WITHIN):
        return "no difference", None
    if exceeds(relative, SAME_WITHIN) and not beyond_noise:
        if noise.settled:
            why = "equal runs differ by as much: no number of rounds would tell"
        else:
            why = f"equal runs may differ by as much, for all that {noise.pairs} pairs tell: repeat both"
        return "inconclusive", Power(reason=why)
    if relative < 0:
        possible = Interval(-possible.high, -possible.low, possible.level)
    limit = 0.0 if beyond_noise else SAME_WITHIN
    return "inconclusive", power_of(possible, abs(relative), limit, runs, base_runs)


def exceeds(relative: float, floor: float) -> bool:
    """Whether a change is larger than a relative gap; a drop of 10 % is a gap of 11 %, like its reverse."""
    if relative <= -1:
        # An interval may reach below what a figure can fall to.
        return True
    gap = relative if relative >= 0 else 1 / (1 + relative) - 1
    return gap > floor


def _ranking(
    members: Sequence[Group], axes: tuple[str, ...], allowed: tuple[str, ...], noise: NoiseFloors
) -> Ranking:
    ordered = sorted(members, key=lambda group: group.median, reverse=members[0].figure.higher_is_better)
    best = ordered[0]
    parts = expanded(allowed, [group.key for group in ordered])
    varying = tuple(part for part in parts if len({group.key.value(part) for group in ordered}) > 1)
    asked = asked_parts(axes, setting_names(group.key for group in ordered))
    named, labels = _labels([group.key for group in ordered], varying, asked)
    places = [
        Ranked(
            label=label,
            group=group,
            noise=noise.floor(group.key),
            change=None if group is best else change(group, best, noise),
        )
        for label, group in zip(labels, ordered, strict=True)
    ]
    return Ranking(axes, allowed, best.key, varying, named, tuple(places))


def _labels(keys: Sequence[ConditionKey], varying: tuple[str, ...], asked: Sequence[str]) -> _Labels:
    """All varying parts that were asked about, and as few of the others as tell the keys apart."""
    labels, count = ["" for _ in keys], 0
    least = sum(part in varying for part in expanded(asked, keys))
    for count in range(max(least, 1), len(varying) + 1):
        labels = [", ".join(shown(key.value(part)) for part in varying[:count]) for key in keys]
        if len(set(labels)) == len(keys):
            break
    return varying[:count], told_apart(labels, keys)


def _unranked(group: Group, groups: Sequence[Group], allowed: Sequence[str]) -> Unranked:
    others = [other for other in groups[:_NEAREST_AMONG] if other is not group]
    if not others:
        return Unranked(group, None, ())
    apart = [differences(group.key, other.key, allowed) for other in others]
    closest = min(range(len(others)), key=lambda index: len(apart[index]))
    return Unranked(group, others[closest], tuple(apart[closest]))
