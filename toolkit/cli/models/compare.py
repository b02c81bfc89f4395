"""`slm models compare`."""

from __future__ import annotations

import json

import typer

from toolkit.cli.models import options
from toolkit.settings import Settings


def compare(
    names: list[str] = typer.Argument(help="Names of models.", metavar="NAME"),
    as_json: bool = options.JSON,
) -> None:
    """Show models side by side; a star marks what differs.

    \b
    Examples:
      slm models compare Qwen1.5-0.5B Qwen2-0.5B
      slm models compare SmolLM2-360M Qwen3-0.6B LFM2-350M Gemma-3-270M
    """  # noqa: D301
    from toolkit.cli.models.text import side_by_side
    from toolkit.cli.text_output import write_text
    from toolkit.errors import UsageError
    from toolkit.models.catalogue.catalogue import catalogue
    from toolkit.models.catalogue.flat import flat

    known = catalogue(Settings.from_environment().models_dir)
    # One model named twice is one column.
    entries = list({known[name].name: known[name] for name in names}.values())
    if len(entries) < 2:
        raise UsageError("two different models are needed to compare", next_step="Name another one.")
    if as_json:
        write_text(json.dumps([flat(entry) for entry in entries], indent=2, ensure_ascii=False) + "\n")
    else:
        write_text(side_by_side(entries))
