"""`slm card`: a model card of an artifact."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.cli.output_file import output_file
from toolkit.cli.text_output import write_text
from toolkit.settings import Settings


def card(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    output: Path | None = typer.Option(None, "--output", "-o", help="File to write instead of stdout."),
) -> None:
    """Write a model card with what was measured.

    What the artifact is, what its check found, and the stored runs of it with their conditions.

    \b
    Examples:
      slm card artifacts/my-model
      slm card artifacts/my-model -o README.md
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.sharing.model_card import model_card
    from toolkit.store import open_store

    loaded = Artifact.load(artifact)
    with open_store(Settings.from_environment().store_url) as store:
        text = model_card(loaded, store)
    if output is None:
        write_text(text)
        return
    with output_file(output) as part:
        part.write_text(text, encoding="utf-8")
    print(f"wrote {output}")
