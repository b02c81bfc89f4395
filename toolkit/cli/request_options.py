"""Command-line options that derive from a request's fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from itertools import product
from typing import Annotated, Any, get_type_hints

import typer

from toolkit.errors import UsageError
from toolkit.request import Request, RequestField

Command = Callable[..., None]


@dataclass(frozen=True)
class _Flag:
    """One option of the command line.

    Attributes:
        path: the field's names, from the request down.
        group: what `--help` shows it under.
        switch: for a field that holds a request: given or not.
    """

    path: tuple[str, ...]
    field: RequestField
    group: str | None = None
    switch: bool = False

    @property
    def name(self) -> str:
        """Of the parameter."""
        return "_".join(self.path)

    @property
    def sweeps(self) -> bool:
        """Whether several values of it can be asked for at once."""
        return not self.switch and self.field.option.recipe == "axis" and self.field.value_type is int

    def parameter(self, *, sweep: bool = False) -> inspect.Parameter:
        """As typer reads it; a sweep takes numbers with commas."""
        option, default = self.field.option, self.field.default
        kind = bool if self.switch else option.written or self.field.value_type
        if self.switch:
            default = False
        elif option.written is not None:
            default = option.written()
        elif self.field.required:
            default = inspect.Parameter.empty
        annotation = kind if default is not None else kind | None
        info: Any
        if option.argument:
            info = typer.Argument(help=option.help, metavar=self.name.upper(), show_default=False)
        else:
            shown: dict[str, Any] = {"help": option.help, "rich_help_panel": self.group}
            flags = option.flags or _spelled(self.path[-1:], kind)
            limits = self.field.limits
            if sweep and self.sweeps:
                annotation, default = str, str(default)
                info = typer.Option(*flags, **shown, metavar="N,...")
            else:
                info = typer.Option(*flags, **shown, min=limits.get("ge"), max=limits.get("le"))
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation=Annotated[annotation, info],
        )


def takes(request: type[Request], *, sweep: bool = False) -> Callable[[Command], Command]:
    """Give a command the options of a request in place of its parameter ``request``.

    The command is called with the request that the options make; options stand where the parameter stands.
    With ``sweep`` the parameter is ``requests``: one for each combination of the numbers given.
    """
    parameter_name = "requests" if sweep else "request"

    def decorate(command: Command) -> Command:
        flags = list(_flags(request))

        @wraps(command)
        def run(**values: Any) -> None:
            given = {flag.path: values.pop(flag.name) for flag in flags}
            if sweep:
                command(
                    requests=[request.of(**_nested(flags, one)) for one in _swept(flags, given)], **values
                )
            else:
                command(request=request.of(**_nested(flags, given)), **values)

        own = inspect.signature(command).parameters
        hints = get_type_hints(command, include_extras=True)
        parameters = []
        for name, parameter in own.items():
            if name == parameter_name:
                parameters += [flag.parameter(sweep=sweep) for flag in flags]
            else:
                kind = inspect.Parameter.KEYWORD_ONLY
                parameters.append(parameter.replace(kind=kind, annotation=hints[name]))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return decorate


def _swept(flags: list[_Flag], given: dict[tuple[str, ...], Any]) -> Iterator[dict[tuple[str, ...], Any]]:
    """Every combination of the numbers given, the last option's changing fastest."""
    swept = [flag for flag in flags if flag.sweeps]
    for numbers in product(*(_numbers(flag, given[flag.path]) for flag in swept)):
        yield given | {flag.path: number for flag, number in zip(swept, numbers, strict=True)}


def _numbers(flag: _Flag, text: str) -> list[int]:
    """Numbers with commas, each once.

    Raises:
        UsageError: something else.
    """
    try:
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        raise UsageError(
            f"{_shown(flag)} {text!r} is not a number, nor several with commas",
            next_step=f"Write it like {_shown(flag)} 128,512.",
        ) from None


def _flags(request: type[Request], path: tuple[str, ...] = (), group: str | None = None) -> Iterator[_Flag]:
    for field in request.options():
        if field.option.flags is None:
            continue
        here, title = (*path, field.name), field.option.group or group
        if field.nested is None:
            yield _Flag(here, field, title)
            continue
        if field.default is None:
            yield _Flag(here, field, title, switch=True)
        yield from _flags(field.nested, here, title)


def _spelled(path: tuple[str, ...], kind: Any) -> tuple[str, ...]:
    name = "-".join(path).replace("_", "-")
    return (f"--{name}/--no-{name}",) if kind is bool else (f"--{name}",)


def _nested(flags: list[_Flag], given: dict[tuple[str, ...], Any]) -> dict[str, Any]:
    """Values by field; a request within the request is None unless its switch is on."""
    values: dict[str, Any] = {}
    switches = {flag.path: flag for flag in flags if flag.switch}
    for flag in flags:
        value = given[flag.path]
        switch = switches.get(flag.path[:-1])
        if flag.switch:
            values[flag.name] = {} if value else None
        elif switch is not None and not given[switch.path]:
            if value != flag.field.default:
                raise UsageError(
                    f"{_shown(flag)} means nothing without {_shown(switch)}",
                    next_step=f"Add {_shown(switch)}.",
                )
        elif len(flag.path) == 1:
            values[flag.name] = value
        else:
            values.setdefault(flag.path[0], {})[flag.path[1]] = value
    return values


def _shown(flag: _Flag) -> str:
    return (flag.field.option.flags or _spelled(flag.path[-1:], str))[0]
