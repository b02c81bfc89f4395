"""Entry point of the `slm` command: collects the verbs and turns errors into exit codes."""

from __future__ import annotations

import os
import sys

import typer

import toolkit
from toolkit.cli import app as android_app
from toolkit.cli import (
    artifacts,
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
    recipe,
    report,
    results,
    runtime,
    study,
)
from toolkit.engines import set_environment

# Nothing phones home. Set before any hub client is imported, in this process and its children.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

app = typer.Typer(
    name="slm",
    help="Take a small language model from Hugging Face to a phone and bring honest numbers back.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(android_app.app, name="app")
app.add_typer(artifacts.app, name="artifacts")
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
app.add_typer(recipe.app, name="recipe")
app.command("report")(report.report)
app.add_typer(results.app, name="results")
app.add_typer(runtime.app, name="runtime")
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
) -> None:
    # For this process and its children; commands import engines later.
    set_environment()


def main() -> None:
    """Run the CLI; what cannot be done becomes one message and its exit code. Typer turns Ctrl-C into 130."""
    sys.exit(edge.run(app))


if __name__ == "__main__":
    main()
