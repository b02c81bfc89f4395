"""`slm config`: settings that hold until they are changed."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.errors import UsageError
from toolkit.registry import did_you_mean
from toolkit.settings import SETTINGS, Settings, anchored, choices, config_file, read_config, write_config


def config(
    name: str | None = typer.Argument(None, help="A setting; all of them if none.", metavar="NAME"),
    value: str | None = typer.Argument(None, help="Its value from now on.", metavar="VALUE"),
    unset: bool = typer.Option(False, "--unset", help="Forget the setting."),
) -> None:
    """Show or change settings: default device, folders, results. They are kept in a file.

    A variable wins over the file, an option over both. Paths are kept whole, so that they mean the same
    wherever a command is started. docs/configuration.md lists the variables.

    \b
    Examples:
      slm config
      slm config device pixel7
      slm config store_url postgresql+psycopg://user@host/slm
      slm config device --unset
    """  # noqa: D301
    if name is None:
        _show_all()
        return
    if name not in SETTINGS:
        raise UsageError(
            f"{name!r} is no setting",
            next_step=f"{did_you_mean(name, SETTINGS)}There are {', '.join(SETTINGS)}.",
        )
    if value is None and not unset:
        print(choices()[name].value or "")
        return
    if value is not None and (unset or not value):
        raise UsageError("give a value, or --unset", next_step=f"slm config {name} VALUE")
    path = config_file()
    kept = read_config(path)
    if value is None:
        kept.pop(name, None)
    else:
        kept[name] = value = anchored(name, value, Path.cwd())
    write_config(path, kept)
    over = choices()[name]
    print(f"{name} {'is unset' if value is None else f'= {value}'} in {path}")
    if over.origin == SETTINGS[name].variable:
        typer.echo(f"{over.origin} is set, and wins over it: {over.value}", err=True)


def _show_all() -> None:
    print(f"# {config_file()}")
    actual = Settings.from_environment()
    for name, choice in choices().items():
        shown = choice.value or getattr(actual, name) or "-"
        origin = choice.origin if choice.origin == SETTINGS[name].variable else choice.origin and "file"
        print(f"{name:<10} {shown}  ({origin or 'default'})")
