"""`slm models plot`."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.models import options
from toolkit.extras import install_command
from toolkit.settings import Settings


def plot(
    figures: list[str] = typer.Argument(
        None, help="architecture, datasets, tokens, accuracy; all by default.", metavar="FIGURE"
    ),
    output: Path = typer.Option(
        Path("models.html"), "--output", "-o", help="Page to write; with another format, a folder."
    ),
    format_name: str = typer.Option("html", "--format", "-f", help="html, svg, png or csv."),
    match: str | None = options.MATCH,
    attention: str | None = options.ATTENTION,
    group: str | None = options.GROUP,
    minimum: str | None = options.MINIMUM,
    maximum: str | None = options.MAXIMUM,
    since: str | None = options.SINCE,
) -> None:
    """Draw the survey's figures about models, from the catalogue.

    Architecture by half-year (Fig. 1, 2), data sets (Fig. 3), parameters and tokens (Fig. 4), accuracy over
    time (Fig. 5). The page works offline; csv writes the numbers.

    \b
    Examples:
      slm models plot
      slm models plot --group survey -o survey.html
      slm models plot accuracy --format svg -o figures
    """  # noqa: D301
    from toolkit.errors import UsageError
    from toolkit.models.catalogue.catalogue import catalogue
    from toolkit.models.catalogue.selection import select

    selection = options.chosen(
        match, attention, group, minimum, maximum, since, buildable=False, made_up=False
    )
    entries = select(catalogue(Settings.from_environment().models_dir).values(), selection)
    if not entries:
        raise UsageError("No model passes the filters.", next_step="See which do: slm models list")
    try:
        from toolkit.report.catalogue_figures import write_figures
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the figures need the package {error.name!r}",
            next_step=f"Install it with: {install_command('report')}",
        ) from None
    for file in write_figures(entries, output, format_name=format_name, figures=figures or ()):
        print(file)
