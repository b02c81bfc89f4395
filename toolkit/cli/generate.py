"""`slm generate`: text from a model on a device."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.chat.request import GenerateRequest
from toolkit.cli.request_options import takes

if TYPE_CHECKING:
    from toolkit.chat.generate import Generated


@takes(GenerateRequest)
def generate(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    prompt: str = typer.Option(..., "--prompt", "-p", help="What to say to the model; - reads stdin."),
    device: str | None = typer.Option(
        None, "--device", "-d", help="Serial, or local; the attached phone when there is just one."
    ),
    chat: bool | None = typer.Option(
        None, "--chat/--no-chat", help="Apply the chat template; done by default when there is one."
    ),
    system: str | None = typer.Option(None, "--system", help="System message, with --chat."),
    *,
    request: GenerateRequest,
    as_json: bool = typer.Option(False, "--json", help="Print JSON at the end instead of text."),
) -> None:
    """Generate text on a device; it is printed token by token. Nothing is stored.

    \b
    Examples:
      slm generate smollm2-8da4w --prompt "What is the capital of France?"
      slm generate smollm2-8da4w -d R5CT1234567 -p "Once upon a time" --no-chat --temperature 0.8 --top-p 0.9
    """  # noqa: D301
    import toolkit

    generated = toolkit.generate(
        artifact,
        sys.stdin.read() if prompt == "-" else prompt,
        request,
        device=device,
        chat=chat,
        system=system,
        on_text=None if as_json else _print_piece,
    )
    if as_json:
        print(json.dumps(generated.model_dump(), indent=2))
    else:
        print()
        print(_speed(generated), file=sys.stderr)


def _print_piece(piece: str) -> None:
    print(piece, end="", flush=True)


def _speed(generated: Generated) -> str:
    first, *rest = generated.token_ns or [0]
    rate = f", then {1e9 / statistics.fmean(rest):.1f} tok/s" if rest else ""
    return (
        f"{len(generated.prompt_ids)} prompt tokens, {len(generated.token_ids)} generated; "
        f"first after {first / 1e6:.0f} ms{rate}"
    )
