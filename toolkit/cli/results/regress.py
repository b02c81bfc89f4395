"""`slm results regress`."""

from __future__ import annotations

import json
import re
import sys

import typer

from toolkit.cli.results import selection
from toolkit.settings import Settings

# As diff and grep have it: the question was answered, and the answer is no.
_FOUND = 1


def regress(
    baseline: str = typer.Option(..., "--baseline", "-b", help="Tag of the runs to compare with."),
    fail_over: str = typer.Option("5%", "--fail-over", help="How much worse is a regression."),
    figure: list[str] = typer.Option(
        ["decode", "prefill", "memory"], "--figure", "-f", help="What to check; may be repeated."
    ),
    axis: list[str] = typer.Option(
        ["version"], "--axis", "-a", help="What may differ from the baseline; may be repeated."
    ),
    where: str | None = selection.WHERE,
    require_all: bool = typer.Option(
        False, "--require-all", help="Fail also when a condition of the baseline was not measured again."
    ),
    seed: int = typer.Option(0, "--seed", help="Of the bootstrap."),
    as_json: bool = selection.JSON,
) -> None:
    """Check runs against a tagged baseline; exits with 1 when something has become worse. For CI.

    Checked are all runs that were started after the baseline's newest one, or those that pass --where.
    A regression is worse by more than --fail-over, with an interval that leaves out no change, and beyond the
    noise floor. Two runs or more on both sides make the floor known and the interval honest. What only one
    side has measured is listed.

    \b
    Examples:
      slm results tag v1.0 --where "created >= '2026-11-20'"
      slm results regress --baseline v1.0 --fail-over 5%
      slm results regress --baseline v1.0 --where "tag = 'pull-request-12'" --figure decode --json
    """  # noqa: D301
    from toolkit.analysis.compared_figures import find_figure
    from toolkit.analysis.regress import regress as check
    from toolkit.store import open_store
    from toolkit.store.filters import parse_filter

    limit, figures = _share(fail_over), [find_figure(name) for name in figure]
    chosen = None if where is None else parse_filter(where)
    with open_store(Settings.from_environment().store_url) as store:
        found = check(store, figures, baseline, limit=limit, axes=axis, where=chosen, seed=seed)
    if as_json:
        from toolkit.cli.results.comparison_json import regression_as_json

        print(json.dumps(regression_as_json(found), indent=2))
    else:
        from toolkit.cli.results.comparison_table import print_regression

        print_regression(found)
    print(
        f"checks: {len(found.checks)}; regressions over {fail_over}: {len(found.regressions)}; "
        f"of the baseline, not measured again: {len(found.missing)}",
        file=sys.stderr,
    )
    if found.regressions or (require_all and found.missing):
        raise typer.Exit(_FOUND)


def _share(text: str) -> float:
    from toolkit.errors import UsageError

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if match is None:
        raise UsageError(
            f"{text!r} is not a percentage", subject="--fail-over", next_step="Write it like 5%."
        )
    return float(match[1]) / 100
