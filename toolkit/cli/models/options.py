"""The options by which verbs choose models, and what they mean together."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import typer

if TYPE_CHECKING:
    from toolkit.models.catalogue.selection import Selection

MATCH = typer.Option(
    None, "--match", help="Only models whose name, family, organisation or hub id holds this text."
)
ATTENTION = typer.Option(None, "--attention", help="Only MHA, GQA, MQA or MLA.")
GROUP = typer.Option(
    None, "--group", "-g", help="Only models of a list, e.g. survey, survey-table-1, survey-latency."
)
MINIMUM = typer.Option(None, "--min-params", help="Only models of at least so many, e.g. 100M.")
MAXIMUM = typer.Option(None, "--max-params", help="Only models of at most so many, e.g. 1.5B.")
SINCE = typer.Option(None, "--since", help="Only models released in this month or later, e.g. 2024-01.")
BUILDABLE = typer.Option(False, "--buildable", help="Only models that random:NAME builds.")
ALL = typer.Option(False, "--all", help="Also the tiny made-up models of tests and examples.")
JSON = typer.Option(False, "--json", help="Print JSON.")


def chosen(
    text: str | None,
    attention: str | None,
    group: str | None,
    minimum: str | None,
    maximum: str | None,
    since: str | None,
    *,
    buildable: bool,
    made_up: bool,
) -> Selection:
    """What the options select together.

    Raises:
        UsageError: an option that cannot be meant as given.
    """
    import re

    from toolkit.errors import UsageError
    from toolkit.models.catalogue.entry import AttentionKind
    from toolkit.models.catalogue.selection import Selection, parameter_count

    kinds = {kind.casefold(): kind for kind in get_args(AttentionKind)}
    if attention is not None and attention.casefold() not in kinds:
        raise UsageError(
            f"Unknown attention {attention!r}.", next_step=f"Available: {', '.join(kinds.values())}"
        )
    if since is not None and not re.fullmatch(r"\d{4}(-(0[1-9]|1[0-2]))?", since):
        raise UsageError(f"{since!r} is no month", next_step="Give a year or a month: 2024 or 2024-07.")
    return Selection(
        text=text,
        attention=None if attention is None else kinds[attention.casefold()],
        group=group,
        minimum_parameters=None if minimum is None else parameter_count(minimum),
        maximum_parameters=None if maximum is None else parameter_count(maximum),
        since=since,
        buildable=buildable,
        made_up=made_up,
    )
