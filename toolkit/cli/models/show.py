"""`slm models show`."""

from __future__ import annotations

import json

import typer

from toolkit.cli.models import options
from toolkit.settings import Settings


def show(
    name: str = typer.Argument(help="Name of the model.", metavar="NAME"),
    config: bool = typer.Option(False, "--config", help="Print the config only, as config.json has it."),
    as_json: bool = options.JSON,
) -> None:
    """Show one model: facts and their sources. Says where sources disagree.

    \b
    Examples:
      slm models show SmolLM2-135M
      slm models show qwen3-0.6b --config > config.json
    """  # noqa: D301
    from toolkit.cli.models.text import sheet
    from toolkit.cli.text_output import write_text
    from toolkit.errors import UnknownModel
    from toolkit.models.catalogue.catalogue import catalogue

    entry = catalogue(Settings.from_environment().models_dir)[name]
    if config:
        if entry.config is None:
            raise UnknownModel(
                f"no config is known: {entry.config_note}",
                subject=entry.name,
                next_step=f"See what is known: slm models show {entry.name}",
            )
        write_text(json.dumps(dict(entry.config), indent=2) + "\n")
    elif as_json:
        write_text(json.dumps(entry.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n")
    else:
        write_text(sheet(entry))
