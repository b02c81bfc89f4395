"""Comparisons and regression checks as tables for people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from toolkit.analysis.condition_key import ConditionKey, Difference, shown
from toolkit.analysis.condition_labels import told_apart
from toolkit.analysis.left_out import left_out_words
from toolkit.cli.tables import Column, line_width, print_folded, print_table
from toolkit.store.short_names import model_names
from toolkit.store.table import SHOWN_ID_LENGTH

if TYPE_CHECKING:
    from toolkit.analysis.compare import Change, Comparison, Ranking, Unranked
    from toolkit.analysis.compared_figures import Figure
    from toolkit.analysis.groups import Group
    from toolkit.analysis.lacking import Lacking
    from toolkit.analysis.noise import NoiseFloor
    from toolkit.analysis.regress import Check, Regression, Unpaired
    from toolkit.analysis.statistics import Interval
    from toolkit.analysis.verdicts import Power

_WITH_VALUES = 3
_MAXIMUM_UNRANKED = 20
_COLOURS = {"worse": "red", "inconclusive": "yellow", "better": "green"}


def print_groups(groups: Sequence[Group], floors: Sequence[NoiseFloor | None]) -> None:
    """Each group by itself: its median, interval and noise floor. Nothing is ranked."""
    figure, width = groups[0].figure, line_width()
    under = conditions_of([group.key for group in groups])
    columns = (
        Column(figure.unit, numeric=True),
        Column("95 % interval", rank=1),
        Column("runs", rank=3),
        Column("noise", rank=2),
        Column(f"{figure.name} under", least=30),
    )
    rows = [
        (figure.shown(group.median), _interval(group), _runs(group), _floor(floor), under[group.key])
        for group, floor in zip(groups, floors, strict=True)
    ]
    left_out = print_table(columns, rows, width=width)
    _explain(floors, width, left_out)


def print_comparison(comparison: Comparison) -> None:
    """Every ranking, best first, and what could not be ranked."""
    under = _shared_conditions(comparison.rankings)
    for ranking, shared in zip(comparison.rankings, under, strict=True):
        _print_ranking(ranking, comparison.figure.name, comparison.figure.unit, shared)
    if comparison.unranked:
        _print_unranked(comparison.unranked)


def print_regression(regression: Regression) -> None:
    """Every check, condition by condition, and conditions that only one side has."""
    width = line_width()
    floors: list[NoiseFloor | None] = []
    left_out: set[str] = set()
    by_conditions: dict[ConditionKey, list[Check]] = defaultdict(list)
    for check in regression.checks:
        by_conditions[check.candidate.key].append(check)
    under = conditions_under(regression)
    columns = (
        Column("figure"),
        Column("baseline", numeric=True, rank=1),
        Column("now", numeric=True),
        Column("unit", rank=4),
        Column("worse by", numeric=True),
        Column("95 % interval", rank=2),
        Column("noise", rank=3),
        Column("outcome", style=_colour),
    )
    for key, checks in by_conditions.items():
        print_folded(under[key], width=width, indent="  ")
        rows = [
            (
                short_figure(check.baseline.figure),
                check.baseline.figure.shown(check.baseline.median),
                check.baseline.figure.shown(check.candidate.median),
                check.baseline.figure.unit,
                f"{check.worse_by:+.1%}",
                _shares(check.interval),
                _floor(check.change.noise),
                check.outcome,
            )
            for check in checks
        ]
        floors += [check.change.noise for check in checks]
        left_out |= set(print_table(columns, rows, width=width))
        for check in checks:
            if check.power is not None:
                words = f"  {short_figure(check.baseline.figure)}: {power_words(check.power)}"
                print_folded(words, width=width, indent="    ")
    _explain(floors, width, left_out)
    for unpaired in regression.unpaired:
        print_folded(unpaired_words(unpaired, under), width=width, indent="  ")
    for lacking in regression.lacking:
        print_folded(lacking_words(lacking, under), width=width, indent="  ")


def conditions_under(regression: Regression) -> dict[ConditionKey, str]:
    """A line for each of the conditions that a check speaks of."""
    keys = [check.candidate.key for check in regression.checks]
    keys += [one.group.key for one in regression.unpaired]
    keys += [one.key for one in regression.lacking if one.key is not None]
    return conditions_of(list(dict.fromkeys(keys)))


def conditions_of(keys: Sequence[ConditionKey]) -> dict[ConditionKey, str]:
    """A line for each: the conditions that people ask about first, and whatever tells it from the others."""
    models = model_names(key.model for key in keys)
    lines = [conditions(key, models[key.model]) for key in keys]
    return dict(zip(keys, told_apart(lines, keys), strict=True))


def _shared_conditions(rankings: Sequence[Ranking]) -> list[str]:
    """A line for each: what its places share, and whatever tells it from the others."""
    keys = [ranking.conditions for ranking in rankings]
    models = model_names(key.model for key in keys)
    lines = [conditions(one.conditions, models[one.conditions.model], one.varying) for one in rankings]
    # What may differ within a ranking is no mark of it.
    return told_apart(lines, keys, {part for one in rankings for part in one.allowed})


def conditions(key: ConditionKey, model: str | None = None, without: Collection[str] = ()) -> str:
    """The conditions that people ask about first, in one line, without some parts."""
    model = model_names([key.model])[key.model] if model is None else model
    words = [
        [("model", model), ("quantization", key.quantization)],
        [("engine", key.engine), ("engine_version", key.engine_version)],
        [_device(key, without)],
        [("threads", f"{key.threads} threads")],
        [
            ("prompt_tokens", f"pp{key.prompt_tokens}"),
            ("generate_tokens", f"tg{key.generate_tokens}"),
            ("depth", f"@{key.depth}" if key.depth else ""),
        ],
    ]
    told = [" ".join(word for part, word in group if word and part not in without) for group in words]
    return ", ".join(words for words in told if words)


def _device(key: ConditionKey, without: Collection[str]) -> tuple[str, str]:
    """The part that names the device, and its name."""
    if key.emulated:
        serial = "" if "device_serial" in without else f"{key.device_serial} "
        return "emulated", f"{serial}(emulated)"
    if key.device_model and "device_model" not in without:
        return "device_model", key.device_model
    return "device_serial", key.device_serial


def _print_ranking(ranking: Ranking, name: str, unit: str, under: str) -> None:
    width = line_width()
    shared = f": {under}" if under else ""
    print_folded(f"{name} along {' and '.join(ranking.axes)}{shared}", width=width, indent="  ")
    columns = (
        Column(", ".join(ranking.named), least=16),
        Column(unit, numeric=True),
        Column("95 % interval", rank=3),
        Column("runs", rank=4),
        Column("vs best", numeric=True),
        Column("95 % interval", rank=1),
        Column("effect", numeric=True, rank=5),
        Column("noise", rank=2),
        Column("verdict", style=_colour),
    )
    rows = []
    floors: list[NoiseFloor | None] = []
    for place in ranking.places:
        group, change = place.group, place.change
        against = ("best", "", "", "") if change is None else _against(change)
        floor = place.noise if change is None else change.noise
        floors.append(floor)
        rows.append(
            (
                place.label, group.figure.shown(group.median), _interval(group), _runs(group),
                *against[:3], _floor(floor), against[3],
            )
        )  # fmt: skip
    left_out = print_table(columns, rows, width=width)
    for place in ranking.places:
        if place.change is not None and place.change.power is not None:
            words = f"  {place.label}: {power_words(place.change.power, 'the best')}"
            print_folded(words, width=width, indent="    ")
    _explain(floors, width, left_out)
    also = [part for part in ranking.varying if part not in ranking.named]
    if also:
        print_folded(f"also differ: {', '.join(also)}", width=width, indent="  ")
    print()


def _against(change: Change) -> tuple[str, str, str, str]:
    return (
        f"{change.relative:+.1%}",
        _change_interval(change),
        f"{change.cliffs_delta:+.2f}",
        change.verdict,
    )


def _print_unranked(unranked: Sequence[Unranked]) -> None:
    width = line_width()
    under = conditions_of([one.group.key for one in unranked])
    print("Not ranked, for want of a partner:")
    for one in unranked[:_MAXIMUM_UNRANKED]:
        ids = one.group.runs[0].run_id[:SHOWN_ID_LENGTH]
        why = "no other run was chosen"
        if one.nearest is not None:
            nearest = one.nearest.runs[0].run_id[:SHOWN_ID_LENGTH]
            why = f"differs from {nearest} in {_named(one.differences)}"
        print_folded(f"  {ids} {under[one.group.key]}: {why}", width=width, indent="    ")
    if len(unranked) > _MAXIMUM_UNRANKED:
        print(f"  and {len(unranked) - _MAXIMUM_UNRANKED} more")


def unpaired_words(unpaired: Unpaired, under: Mapping[ConditionKey, str]) -> str:
    """What only one side has measured, and what keeps it from the closest of the other."""
    where = "only in the baseline" if unpaired.side == "baseline" else "not in the baseline"
    figure = short_figure(unpaired.group.figure)
    why = f"; the closest differs in {_named(unpaired.differences)}" if unpaired.differences else ""
    if unpaired.left_out:
        why = f"; inconclusive: under these conditions {left_out_words(unpaired.left_out)}"
    return f"{where}: {figure}, {under[unpaired.group.key]}{why}"


def lacking_words(lacking: Lacking, under: Mapping[ConditionKey, str]) -> str:
    """What was asked for and could not be checked."""
    figure = f"not checked: {short_figure(lacking.figure)}"
    if lacking.key is None:
        return f"{figure}, inconclusive: no run of the baseline that is ok has it"
    return f"{figure}, {under[lacking.key]}; inconclusive: the baseline's runs under these conditions lack it"


def _named(differences: Sequence[Difference]) -> str:
    """All parts that differ, the first ones with their values."""
    named = [f"{one.part} ({shown(one.left)} and {shown(one.right)})" for one in differences[:_WITH_VALUES]]
    return "; ".join([*named, *(one.part for one in differences[_WITH_VALUES:])])


def _interval(group: Group) -> str:
    return f"{group.figure.shown(group.interval.low)} .. {group.figure.shown(group.interval.high)}"


def _change_interval(change: Change) -> str:
    return _shares(change.interval)


def _shares(interval: Interval) -> str:
    return f"{interval.low:+.1%} .. {interval.high:+.1%}"


def power_words(power: Power, other: str = "the baseline") -> str:
    """What to measure so that an inconclusive check can tell; ``other`` is what it was compared with."""
    words = [power.reason] if power.reason else []
    if power.rounds is not None and power.baseline_rounds is not None:
        words.append(f"{power.rounds} rounds and {power.baseline_rounds} of {other} would tell")
    elif power.rounds is not None:
        words.append(f"{power.rounds} rounds in all would tell")
    return "; ".join(words)


def _runs(group: Group) -> str:
    return f"{len(group.runs)} x {round(len(group.values) / len(group.runs))}"


def _floor(floor: NoiseFloor | None) -> str:
    if floor is None:
        return "-"
    return f"{floor.relative:.1%}{'*' if floor.scope == 'device' else ''} of {floor.pairs}"


def _explain(floors: Sequence[NoiseFloor | None], width: int | None, left_out: Collection[str]) -> None:
    """What the noise column says, as far as it needs saying: nothing where it had no room."""
    if "noise" in left_out:
        return
    if any(floor is not None and floor.scope == "device" for floor in floors):
        words = "* pairs of equal runs from all conditions of the device: these were repeated too seldom"
        print_folded(words, width=width, indent="  ")
    if any(floor is None for floor in floors):
        words = "- unknown: nothing on the device was repeated, or the few runs that were came out equal"
        print_folded(words, width=width, indent="  ")


def short_figure(figure: Figure) -> str:
    """A figure's name for people."""
    return figure.name.removesuffix("_tokens_per_second")


def _colour(word: str) -> str:
    return _COLOURS.get(word, "")
