"""`slm results regress`."""

from __future__ import annotations

import re
import sys

import typer

from toolkit.cli.results import selection
from toolkit.settings import Settings

# As diff and grep have it: the question was answered, and the answer is no.
_FOUND = 1


def regress(
    context: typer.Context,
    baseline: str = typer.Option(..., "--baseline", "-b", help="Tag of the runs to compare with."),
    fail_over: str = typer.Option("5%", "--fail-over", help="How much worse is a regression."),
    figure: list[str] = typer.Option(
        ["decode", "prefill", "memory"], "--figure", help="What to check; may be repeated."
    ),
    axis: list[str] = typer.Option(
        ["version"], "--axis", "-a", help="What may differ from the baseline; may be repeated."
    ),
    where: str | None = selection.WHERE,
    require_all: bool = typer.Option(
        False, "--require-all", help="Fail also when a condition of the baseline was not measured again."
    ),
    strict: bool = typer.Option(
        False, "--strict", help="Fail also when a check is inconclusive: cannot tell is not same."
    ),
    format_name: str = typer.Option(
        "table", "--format", help="table, json, md, junit, or github (annotations of a workflow's log)."
    ),
    seed: int = typer.Option(0, "--seed", help="Of the bootstrap."),
    as_json: bool = typer.Option(False, "--json", help="The same as --format json."),
) -> None:
    """Check runs against a tagged baseline. Exits with 1 when something has become worse. For CI.

    Checked are all runs that were started after the baseline's newest one, or those that pass --where.
    Worse is worse by more than --fail-over, the whole interval of the change; same and better are as certain.
    What the interval cannot decide is inconclusive, with how many rounds would tell; the interval is at
    least as wide as the noise between equal runs. The worst comes first. What only one side has measured is
    listed; it is inconclusive, too, where the other side's runs are not ok. Those are counted. A figure that
    is named and that the baseline lacks, under some of its conditions or all, is inconclusive.

    \b
    Examples:
      slm results tag v1.0 --where "created >= '2026-11-20'"
      slm results regress --baseline v1.0 --fail-over 5%
      slm results regress --baseline v1.0 --where "tag = 'pull-request-12'" --figure decode --json
      slm results regress --baseline v1.0 --strict --format github
    """  # noqa: D301
    from toolkit.analysis.compared_figures import find_figure
    from toolkit.analysis.left_out import left_out_words
    from toolkit.analysis.regress import regress as check
    from toolkit.cli.results.regression_formats import FORMATS
    from toolkit.store import open_store
    from toolkit.store.filters import parse_filter

    write = FORMATS.get("json" if as_json else format_name)
    limit, figures = _share(fail_over), [find_figure(name) for name in figure]
    # What nobody named, not every baseline has; what somebody named must not be left out without a word.
    source = context.get_parameter_source("figure")
    may_lack = source is not None and source.name == "DEFAULT"
    chosen = None if where is None else parse_filter(where)
    with open_store(Settings.from_environment().store_url) as store:
        found = check(
            store, figures, baseline, limit=limit, axes=axis, where=chosen, may_lack=may_lack, seed=seed
        )
    write(found, strict, require_all)
    inconclusive = len(found.inconclusive) + len(found.untold) + len(found.lacking)
    print(
        f"checks: {len(found.checks)}; worse by more than {fail_over}: {len(found.regressions)}; "
        f"inconclusive: {inconclusive}; of the baseline, not measured again: {len(found.missing)}",
        file=sys.stderr,
    )
    if found.left_out:
        print(f"{left_out_words(found.left_out)}. Only runs that are ok are compared.", file=sys.stderr)
    if found.regressions or (strict and inconclusive) or (require_all and found.missing):
        raise typer.Exit(_FOUND)


def _share(text: str) -> float:
    from toolkit.errors import UsageError

    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if match is None:
        raise UsageError(
            f"{text!r} is not a percentage", subject="--fail-over", next_step="Write it like 5%."
        )
    return float(match[1]) / 100
