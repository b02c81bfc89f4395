"""`slm push-to-hub`: an artifact with its card on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import typer

from toolkit.settings import Settings


def push_to_hub(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    repository: str = typer.Argument(help="As the hub calls it.", metavar="USER/NAME"),
    private: bool = typer.Option(False, "--private", help="A new repository is private."),
    message: str | None = typer.Option(None, "--message", help="Of the commit."),
) -> None:
    """Upload an artifact and its card to the Hugging Face hub.

    One commit holds all of it. Log in with `hf auth login`, or set HF_TOKEN. The licence of the original
    model holds for what is made of it: write it into the metadata of the card on the hub, which later uploads
    keep; the text is written anew.

    \b
    Examples:
      slm push-to-hub artifacts/my-model me/my-model-8da4w
      slm push-to-hub artifacts/my-model me/my-model-8da4w --private
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.sharing.hub import push_to_hub as upload
    from toolkit.sharing.model_card import model_card
    from toolkit.store import open_store

    loaded = Artifact.load(artifact)
    with open_store(Settings.from_environment().store_url) as store:
        text = model_card(loaded, store)
    print(upload(loaded, repository, text, private=private, message=message))
