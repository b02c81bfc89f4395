"""Entry point of the `slm` command: collects the verbs and turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from copy import copy
from typing import Any

import typer
import typer.core

import toolkit
from toolkit.cli import app as android_app
from toolkit.cli import (
    artifacts,
    autotune,
    card,
    chat,
    compare,
    config,
    convert,
    devices,
    doctor,
    edge,
    estimate,
    evaluate,
    generate,
    init,
    models,
    profile,
    pull,
    push,
    push_to_hub,
    recipe,
    report,
    results,
    runtime,
    serve,
    study,
)
from toolkit.cli.option_groups import group_options
from toolkit.engines import set_environment
from toolkit.errors import UsageError
from toolkit.progress import PROGRESS_VARIABLE, VERBOSITY_VARIABLE

# Nothing phones home. Set before any hub client is imported, in this process and its children.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

# The order in which people meet them.
_SECTIONS = {
    "From a model to numbers": ("convert", "profile", "results", "report"),
    "Talk with a model": ("generate", "chat", "serve"),
    "Compare and judge": ("compare", "evaluate", "autotune", "estimate"),
    "Many at once": ("init", "recipe", "study"),
    "Devices": ("devices", "doctor", "push", "pull", "runtime", "app"),
    "Keep and share": ("artifacts", "card", "push-to-hub", "models", "config"),
}


# How much is said, by the names of the program's own options.
_SPEAKING = ("quiet", "verbose", "no_progress")

# What stands for an option's value in help, in place of Python's words for its type.
_VALUES = {
    "<str>": "TEXT",
    "<list[str]>": "TEXT",
    "<path>": "PATH",
    "<int>": "N",
    "<int range>": "N",
    "<float>": "X",
    "<float range>": "X",
}


class _Commands(typer.core.TyperGroup):
    """Lists the commands in sections, and their options in groups."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command, with people's words for its options' values; it takes the program's own options, too."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _name_values(command)
            group_options(command)
            _take_behind(command, [one for one in self.params if one.name in _SPEAKING])
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the sections, each summary on one line."""
        width = max(map(len, self.commands))
        named = {name for names in _SECTIONS.values() for name in names}
        rest = {"More": [name for name in self.commands if name not in named]}
        for title, names in {**_SECTIONS, **(rest if rest["More"] else {})}.items():
            rows = [(f"{name:<{width}}", self.commands[name].get_short_help_str(limit=200)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)


def _name_values(command: Any) -> None:
    context = typer.Context(command)
    for parameter in command.params:
        if parameter.param_type_name == "option" and not (parameter.metavar or parameter.is_flag):
            parameter.metavar = "DEVICE" if parameter.name == "device" else None
            parameter.metavar = parameter.metavar or _VALUES.get(parameter.display_type(context))
    for one in getattr(command, "commands", {}).values():
        _name_values(one)


def _take_behind(command: Any, options: list[Any]) -> None:
    """Let a command take options that belong in front of it: few remember that."""
    for option in options:
        if not any(set(option.opts) & set(own.opts) for own in command.params):
            behind = copy(option)
            behind.hidden, behind.expose_value, behind.callback = True, False, _also
            command.params.append(behind)
    for one in getattr(command, "commands", {}).values():
        _take_behind(one, options)


def _also(context: Any, option: Any, given: bool) -> None:
    if given:
        root = context.find_root()
        root.params[option.name] = True
        _speak(**{name: bool(root.params[name]) for name in _SPEAKING})


def _speak(*, quiet: bool, verbose: bool, no_progress: bool) -> None:
    """How much is said, by this process and its children.

    Raises:
        UsageError: options that exclude each other.
    """
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other", next_step="Give one of them.")
    if quiet or verbose:
        os.environ[VERBOSITY_VARIABLE] = "quiet" if quiet else "verbose"
    if no_progress:
        os.environ[PROGRESS_VARIABLE] = "off"


app = typer.Typer(
    name="slm",
    cls=_Commands,
    help="Take a small language model from Hugging Face to a phone and bring honest numbers back.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(android_app.app, name="app")
app.add_typer(artifacts.app, name="artifacts")
app.command("autotune")(autotune.autotune)
app.command("card")(card.card)
app.command("chat")(chat.chat)
app.command("compare")(compare.compare)
app.command("config")(config.config)
app.command("convert")(convert.convert)
app.add_typer(devices.app, name="devices")
app.command("doctor")(doctor.doctor)
app.command("estimate")(estimate.estimate)
app.command("evaluate")(evaluate.evaluate)
app.command("generate")(generate.generate)
app.command("init")(init.init)
app.add_typer(models.app, name="models")
app.command("profile")(profile.profile)
app.command("pull")(pull.pull)
app.command("push")(push.push)
app.command("push-to-hub")(push_to_hub.push_to_hub)
app.add_typer(recipe.app, name="recipe")
app.command("report")(report.report)
app.add_typer(results.app, name="results")
app.add_typer(runtime.app, name="runtime")
app.command("serve")(serve.serve)
app.add_typer(study.app, name="study")


def _show_version(value: bool) -> None:
    if value:
        print(toolkit.__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
    ),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Only results, warnings and errors."),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Also each command that devices are given."),
    no_progress: bool = typer.Option(False, "--no-progress", help="No progress bars and stages."),
) -> None:
    _speak(quiet=quiet, verbose=verbose, no_progress=no_progress)
    # For this process and its children; commands import engines later.
    set_environment()


def main() -> None:
    """Run the CLI; what cannot be done becomes one message and its exit code. Typer turns Ctrl-C into 130."""
    sys.exit(edge.run(app))


if __name__ == "__main__":
    main()
