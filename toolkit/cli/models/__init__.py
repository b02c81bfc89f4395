"""`slm models`: the catalogue of small language models."""

from __future__ import annotations

import typer

from toolkit.cli.models import add, compare, listing, plot, show

app = typer.Typer(
    help="The catalogue of small language models.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command("add")(add.add)
app.command("compare")(compare.compare)
app.command("list")(listing.list_models)
app.command("plot")(plot.plot)
app.command("show")(show.show)
