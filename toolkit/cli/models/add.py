"""`slm models add`."""

from __future__ import annotations

import typer

from toolkit.settings import Settings


def add(
    model: str = typer.Argument(help="Hub id or folder.", metavar="HUB_ID|FOLDER"),
    name: str | None = typer.Option(None, "--name", help="Its name here; by default the last part of MODEL."),
    revision: str | None = typer.Option(None, "--revision", help="Commit, branch or tag on the hub."),
    offline: bool = typer.Option(False, "--offline", help="Use only what is on this machine."),
    force: bool = typer.Option(False, "--force", help="Replace an entry of one's own."),
) -> None:
    """Add a model of one's own to the catalogue. Derived from its config; no weights are read.

    Then `random:NAME` builds it, in recipes and studies as well. What a config does not say stays unknown.

    \b
    Examples:
      slm models add Qwen/Qwen3-0.6B-Base
      slm models add ./my-model --name my-model
    """  # noqa: D301
    from toolkit.cli.models.text import sheet
    from toolkit.cli.text_output import write_text
    from toolkit.sources.catalogue_entry import add_entry

    settings = Settings.from_environment()
    entry, file = add_entry(model, settings, name=name, revision=revision, offline=offline, replace=force)
    write_text(f"{sheet(entry)}written to {file}\n")
