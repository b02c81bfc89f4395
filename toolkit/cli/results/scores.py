"""`slm results scores`: models ranked by what they know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from toolkit.cli.results import selection
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.analysis.scores import ScorePlace, ScoreRanking
    from toolkit.store import Store


def scores(
    task: str | None = typer.Argument(None, help="A task; all that were evaluated if none.", metavar="TASK"),
    metric: str | None = typer.Option(None, "--metric", help="Rank by this one of its metrics only."),
    model: str | None = selection.MODEL,
    as_json: bool = selection.JSON,
) -> None:
    """Rank models by their scores on tasks. Each is compared with the best item by item.

    Scores are ranked where task, version, shots, metric and items are the same, and prompts were cut in all
    or in none. A difference is one when the paired test over the items says so: McNemar's where an item is
    right or wrong, else a randomization of signs. See docs/evaluation.md.

    \b
    Examples:
      slm results scores
      slm results scores arc_easy --metric acc --model smollm2
    """  # noqa: D301
    from toolkit.store import open_store

    with open_store(Settings.from_environment().store_url) as store:
        print_scores(store, task, metric, model, as_json=as_json)


def print_scores(
    store: Store, task: str | None, metric: str | None, model: str | None, *, as_json: bool, seed: int = 0
) -> None:
    """Print the rankings of one task or of all."""
    found = rankings_of(store, task, metric, model, seed=seed)
    if as_json:
        print(json.dumps([asdict(ranking) for ranking in found], indent=2))
    elif found:
        print_rankings(found)
    else:
        print("no scores; see: slm evaluate --help")


def rankings_of(
    store: Store, task: str | None, metric: str | None, model: str | None, *, seed: int = 0
) -> list[ScoreRanking]:
    """The rankings of one task or of all."""
    from toolkit.analysis.scores import rank_scores
    from toolkit.store.evaluations import scored_tasks

    tasks = [task] if task is not None else scored_tasks(store)
    return [
        ranking
        for name in tasks
        for ranking in rank_scores(store, name, metric=metric, model=model, seed=seed)
    ]


def print_rankings(found: Sequence[ScoreRanking]) -> None:
    """Print rankings, a line for each place."""
    for ranking in found:
        _print(ranking)


def _print(ranking: ScoreRanking) -> None:
    from toolkit.cli.tables import Column, line_width, print_folded, print_table

    width = line_width()
    heading = f"{ranking.task}, {ranking.shots} shots: {ranking.metric}, n = {ranking.places[0].score.n}"
    if ranking.truncated:
        heading += "; prompts that did not fit were cut"
    if not ranking.ranked:
        heading += "; not ranked: nobody says whether more of it is better"
    print_folded(heading, width=width, indent="  ")
    columns = (
        Column(ranking.metric, numeric=True),
        Column("model", least=16),
        Column("quant", rank=5, least=8),
        Column("MB", numeric=True, rank=1),
        Column("on", rank=4),
        Column("vs best", numeric=True),
        Column("95 % interval", rank=3),
        Column("p", numeric=True, rank=2),
        Column("verdict", least=7),
    )
    print_table(
        columns,
        [_cells(place, name) for place, name in zip(ranking.places, _names(ranking), strict=True)],
        width=width,
    )


def _names(ranking: ScoreRanking) -> list[str]:
    """What models are called: more than their names where others are called the same."""
    alike: dict[str, set[str]] = {}
    for place in ranking.places:
        alike.setdefault(place.evaluation.name, set()).add(place.evaluation.model_identity)
    names = []
    for one in (place.evaluation for place in ranking.places):
        told = one.name if one.artifact_sha256 is not None else one.model
        if one.model_identity != one.name:
            told += f" {one.model_identity[:8]}"
        names.append(one.name if len(alike[one.name]) == 1 else told)
    return names


def _cells(place: ScorePlace, name: str) -> tuple[str, ...]:
    from toolkit.analysis.scores import SIGNIFICANT

    one, score, compared = place.evaluation, place.score, place.paired
    error = f" ±{score.stderr:.4f}" if score.stderr is not None else ""
    size = f"{one.size_bytes / 1e6:.1f}" if one.size_bytes is not None else "-"
    own = (f"{score.value:.4f}{error}", name, one.quantization, size, one.place)
    if compared is None:
        return (*own, "", "", "", "")
    low, high = compared.interval.low, compared.interval.high
    return (
        *own,
        f"{compared.difference:+.4f}",
        f"{low:+.4f} .. {high:+.4f}",
        f"{compared.p_value:.3g}",
        "differs" if compared.p_value < SIGNIFICANT else "cannot tell",
    )
