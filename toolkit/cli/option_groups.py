"""Options in groups: what a long help shows together."""

from __future__ import annotations

from functools import partial
from typing import Any

# A list that is no longer, beside --help, is read at a glance.
_LONGEST_LIST = 11
_REST = "Options"


def group_options(command: Any) -> None:
    """Let a command, and all below it, show its options in groups where there are many.

    A group is what typer calls a panel; without rich typer has no way to show one.
    """
    if hasattr(command, "commands"):
        for one in command.commands.values():
            group_options(one)
    else:
        command.format_options = partial(_format_options, command)


def grouped(parameters: list[Any]) -> dict[str, list[Any]]:
    """Options by the title of their group, in the order of each group's first one; the rest comes last."""
    if sum(one.name != "help" for one in parameters) <= _LONGEST_LIST:
        return {_REST: parameters} if parameters else {}
    groups: dict[str, list[Any]] = {}
    for one in parameters:
        groups.setdefault(getattr(one, "rich_help_panel", None) or _REST, []).append(one)
    rest = groups.pop(_REST, [])
    return {**groups, **({_REST: rest} if rest else {})}


def _format_options(command: Any, context: Any, formatter: Any) -> None:
    shown = [one for one in command.get_params(context) if one.get_help_record(context) is not None]
    arguments = [one for one in shown if one.param_type_name == "argument"]
    options = [one for one in shown if one.param_type_name == "option"]
    for title, members in {"Arguments": arguments, **grouped(options)}.items():
        if members:
            with formatter.section(title):
                formatter.write_dl([one.get_help_record(context) for one in members])
