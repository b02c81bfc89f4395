"""docs/reference/cli.md: the command tree as Markdown."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from .markdown import NOTE, cell


def command_line() -> str:
    """All commands, from the command tree: no terminal's width is in it."""
    import typer

    from toolkit.cli.main import app

    lines = [NOTE, "# Commands\n", "The same is shown by `slm COMMAND --help`.\n"]
    for path, command in walk(typer.main.get_command(app), ("slm",)):
        lines += _command(path, command)
    return "\n".join(lines)


def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A command and all below it, in the order in which they are shown."""
    yield path, command
    for name, child in sorted(getattr(command, "commands", {}).items()):
        yield from walk(child, (*path, name))


def _command(path: tuple[str, ...], command: Any) -> Iterator[str]:
    from toolkit.cli.option_groups import grouped

    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    tail = "COMMAND ..." if getattr(command, "commands", None) else "[OPTIONS]"
    usage = " ".join((*path, *([tail] if options or tail[0] == "C" else []), *map(_argument, arguments)))
    yield f"{'#' * (len(path) + 1)} {' '.join(path)}\n"
    yield f"```\n{usage}\n```\n"
    yield _help(command.help or "")
    groups = grouped(options)
    if len(groups) < 2:
        groups = {"": [*arguments, *options]}
    elif arguments:
        groups = {"Arguments": arguments, **groups}
    for title, members in groups.items():
        if not members:
            continue
        if title:
            yield f"**{title}**\n"
        yield "| option | meaning | default |\n| --- | --- | --- |"
        for parameter in members:
            names = ", ".join(f"`{name}`" for name in _names(parameter))
            yield f"| {names} | {cell(parameter.help or '')} | {_default(parameter)} |"
        yield ""


def _names(parameter: Any) -> Sequence[str]:
    if parameter.param_type_name == "argument":
        return [_argument(parameter)]
    return (*parameter.opts, *parameter.secondary_opts)


def _argument(parameter: Any) -> str:
    name = (parameter.metavar or parameter.name.upper()).strip("[].")
    return f"{name}..." if parameter.nargs == -1 else name


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    if value is None or value in ("", (), []) or value is False or callable(value):
        return ""
    return f"`{', '.join(map(str, value)) if isinstance(value, list | tuple) else value}`"


def _help(text: str) -> str:
    """Help text as Markdown: paragraphs that are kept as they are become code blocks."""
    parts = inspect.cleandoc(text).split("\n\n")
    shown = []
    for part in parts:
        if part.startswith("\b\n"):
            heading, _, block = part[2:].partition("\n")
            shown.append(f"{heading}\n\n```\n{inspect.cleandoc(block)}\n```")
        else:
            shown.append(part.replace("<", "&lt;").replace("*", "\\*"))
    return "\n\n".join(shown) + "\n"
