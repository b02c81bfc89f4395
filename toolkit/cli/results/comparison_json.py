"""Comparisons and regression checks as JSON data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolkit.analysis.compare import Change, Comparison
    from toolkit.analysis.condition_key import Difference
    from toolkit.analysis.groups import Group
    from toolkit.analysis.noise import NoiseFloor
    from toolkit.analysis.regress import Regression


def groups_as_json(groups: Sequence[Group], floors: Sequence[NoiseFloor | None]) -> list[dict[str, Any]]:
    """Each group with its noise floor."""
    return [
        {**_group(group), "noise_floor": asdict(floor) if floor else None}
        for group, floor in zip(groups, floors, strict=True)
    ]


def comparison_as_json(comparison: Comparison) -> dict[str, Any]:
    """All rankings, and what could not be ranked."""
    return {
        "figure": comparison.figure.name,
        "rankings": [
            {
                "axes": ranking.axes,
                "varying": ranking.varying,
                "places": [
                    {
                        "label": place.label,
                        **_group(place.group),
                        "noise_floor": asdict(place.noise) if place.noise else None,
                        "against_best": _change(place.change) if place.change else None,
                    }
                    for place in ranking.places
                ],
            }
            for ranking in comparison.rankings
        ],
        "unranked": [
            {
                **_group(one.group),
                "nearest": one.nearest.runs[0].run_id if one.nearest else None,
                "differences": _differences(one.differences),
            }
            for one in comparison.unranked
        ],
    }


def regression_as_json(regression: Regression) -> dict[str, Any]:
    """Every check, and what could not be checked: on one side alone, not ok, or lacking in the baseline."""
    return {
        "regressions": len(regression.regressions),
        "inconclusive": len(regression.inconclusive) + len(regression.untold) + len(regression.lacking),
        "checks": [
            {
                "figure": check.baseline.figure.name,
                "outcome": check.outcome,
                "worse_by": check.worse_by,
                "worse_by_interval": asdict(check.interval),
                "power": asdict(check.power) if check.power else None,
                "change": _change(check.change),
                "baseline": _group(check.baseline),
                "candidate": _group(check.candidate),
            }
            for check in regression.checks
        ],
        "unpaired": [
            {
                "figure": one.group.figure.name,
                "side": one.side,
                **_group(one.group),
                "differences": _differences(one.differences),
                "left_out": [run.run_id for run in one.left_out],
            }
            for one in regression.unpaired
        ],
        "left_out": [{"run": one.run_id, "status": one.status} for one in regression.left_out],
        "lacking": list(dict.fromkeys(one.figure.name for one in regression.lacking)),
        "lacking_under": [
            {"figure": one.figure.name, "conditions": asdict(one.key)}
            for one in regression.lacking
            if one.key is not None
        ],
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "conditions": asdict(group.key),
        "median": group.median,
        "interval": asdict(group.interval),
        "runs": [run.run_id for run in group.runs],
        "repetitions": len(group.values),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "relative": change.relative,
        "interval": asdict(change.interval),
        "cliffs_delta": change.cliffs_delta,
        "noise_floor": asdict(change.noise) if change.noise else None,
        "verdict": change.verdict,
        "power": asdict(change.power) if change.power else None,
    }


def _differences(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    return [asdict(difference) for difference in differences]
