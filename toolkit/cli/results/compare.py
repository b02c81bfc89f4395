"""`slm results compare`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from toolkit.cli.results import selection
from toolkit.cli.results.scores import print_rankings, print_scores
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.analysis.compared_figures import Figure
    from toolkit.analysis.scores import ScoreRanking
    from toolkit.store import Store
    from toolkit.store.filters import Filter


def compare(
    run_ids: list[str] = typer.Argument(None, help="Runs to compare; all stored ones if none.", metavar="ID"),
    axis: list[str] = typer.Option(
        [],
        "--axis",
        "-a",
        help="What may differ: backend, quantization, version, device, ...; may be repeated.",
    ),
    figure: str = typer.Option(
        "decode", "--figure", help="decode, prefill, ttft, load, memory ...; or a task."
    ),
    where: str | None = selection.WHERE,
    device: str | None = selection.DEVICE,
    model: str | None = selection.MODEL,
    seed: int = typer.Option(0, "--seed", help="Of the bootstrap."),
    as_json: bool = selection.JSON,
) -> None:
    """Compare runs that differ in one thing and in nothing else.

    Runs of the same conditions form a group. Its figure is the median of its runs' medians, with a 95 %
    bootstrap interval. A change counts only when its interval leaves out zero and it exceeds the noise:
    how far apart runs of the very same conditions came out. Effect is Cliff's delta. Without --axis
    nothing is ranked: each group is shown with its interval and noise. Only ok runs are compared, and
    emulated ones never with real ones. See docs/results.md. A task as the figure ranks its scores, as
    `slm results scores` does. With `--axis quant` those scores of which several quantizations have some are
    ranked, too: over texts, on tasks and of needles.

    \b
    Examples:
      slm results compare
      slm results compare --axis backend --where "model contains 'smollm2'"
      slm results compare --axis quant --model smollm2
      slm results compare --figure arc_easy
      slm results compare 7k2m 9xq1 --axis quantization --figure memory
    """  # noqa: D301
    from toolkit.analysis.compared_figures import find_figure
    from toolkit.errors import UsageError
    from toolkit.store import open_store

    chosen = selection.chosen(where, [], device, model)
    axis = ["quantization" if one == "quant" else one for one in axis or ()]
    with open_store(Settings.from_environment().store_url) as store:
        if _is_task(store, figure):
            if set(axis) - {"quantization"} or where or device or run_ids:
                raise UsageError(
                    f"scores of {figure} are compared over all models that have them, whatever else differs",
                    next_step=f"slm results compare --figure {figure}, with --model alone beside it.",
                )
            print_scores(store, figure, None, model, as_json=as_json, seed=seed)
            return
        wanted = find_figure(figure)
        ids = [store.find_run_id(run_id) for run_id in run_ids or []]
        if not ids:
            _say_left_out(store, chosen)
        if axis:
            # Scores know nothing of runs, and heed no filter of theirs.
            quality = "quantization" in axis and not (where or device or run_ids)
            scores = _quality(store, model, seed) if quality else []
            _rank(store, wanted, axis, chosen, ids, seed, as_json, scores)
        else:
            _describe(store, wanted, chosen, ids, seed, as_json)


def _is_task(store: Store, figure: str) -> bool:
    """Whether quality is asked for: a figure of no run that is the name of a task with scores."""
    from toolkit.analysis.compared_figures import FIGURES, SHORT_NAMES
    from toolkit.store.evaluations import scored_tasks

    return figure not in FIGURES and figure not in SHORT_NAMES and figure in scored_tasks(store)


def _quality(store: Store, model: str | None, seed: int) -> list[ScoreRanking]:
    """Rankings of scores in which quantizations differ."""
    from toolkit.cli.results.scores import rankings_of

    return [
        ranking
        for ranking in rankings_of(store, None, None, model, seed=seed)
        if len({(one.evaluation.quantization, one.evaluation.artifact_sha256) for one in ranking.places}) > 1
    ]


def _rank(
    store: Store,
    figure: Figure,
    axes: list[str],
    where: Filter,
    ids: list[str],
    seed: int,
    as_json: bool,
    scores: list[ScoreRanking],
) -> None:
    from toolkit.analysis.compare import compare as compare_runs

    comparison = compare_runs(store, figure, axes, where=where, run_ids=ids, seed=seed)
    if as_json:
        from toolkit.cli.results.comparison_json import comparison_as_json

        quality = {"scores": [asdict(one) for one in scores]} if scores else {}
        print(json.dumps(comparison_as_json(comparison) | quality, indent=2))
        return
    if comparison.rankings or comparison.unranked:
        from toolkit.cli.results.comparison_table import print_comparison

        print_comparison(comparison)
    elif not scores:
        _say_nothing_found(figure)
    print_rankings(scores)


def _describe(store: Store, figure: Figure, where: Filter, ids: list[str], seed: int, as_json: bool) -> None:
    from toolkit.analysis.groups import load_groups
    from toolkit.analysis.noise import load_noise

    groups = load_groups(store, figure, where=where, run_ids=ids, seed=seed)
    noise = load_noise(store, figure, [group.key for group in groups])
    floors = [noise.floor(group.key) for group in groups]
    if as_json:
        from toolkit.cli.results.comparison_json import groups_as_json

        print(json.dumps(groups_as_json(groups, floors), indent=2))
    elif groups:
        from toolkit.cli.results.comparison_table import print_groups

        print_groups(groups, floors)
    else:
        _say_nothing_found(figure)


def _say_left_out(store: Store, where: Filter) -> None:
    from toolkit.analysis.left_out import left_out_words, load_left_out

    if left := load_left_out(store, where):
        print(f"{left_out_words(left)}. Only runs that are ok are compared.", file=sys.stderr)


def _say_nothing_found(figure: Figure) -> None:
    print(f"No run that is ok and has {figure.name} passes the filter.", file=sys.stderr)
