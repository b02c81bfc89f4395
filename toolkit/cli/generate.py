"""`slm generate`: text from a model on a device."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.chat.generate import Generated


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
    max_tokens: int = typer.Option(256, "--max-tokens", "-n", min=1, help="Most tokens to generate."),
    temperature: float = typer.Option(0.0, "--temperature", min=0, help="0 is greedy."),
    top_k: int = typer.Option(0, "--top-k", min=0, help="Keep the K likeliest tokens; 0 keeps all."),
    top_p: float = typer.Option(1.0, "--top-p", min=0.01, max=1, help="Keep tokens up to this probability."),
    seed: int = typer.Option(0, "--seed", min=0, help="Of the random choice."),
    threads: int = typer.Option(0, "--threads", "-t", min=0, help="Engine threads; 0: the runner's choice."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON at the end instead of text."),
) -> None:
    """Generate text on a device; it is printed token by token. Nothing is stored.

    \b
    Examples:
      slm generate smollm2-8da4w --prompt "What is the capital of France?"
      slm generate smollm2-8da4w -d R5CT1234567 -p "Once upon a time" --no-chat --temperature 0.8 --top-p 0.9
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.chat.generate import GenerateOptions, prompt_ids
    from toolkit.chat.generate import generate as generate_on
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serial

    settings = Settings.from_environment()
    loaded = Artifact.load(artifact)
    options = GenerateOptions(
        max_tokens=max_tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed, threads=threads
    )
    ids = prompt_ids(loaded, sys.stdin.read() if prompt == "-" else prompt, chat=chat, system=system)
    serial = chosen_serial(device, settings)
    generated = generate_on(
        open_device(serial, settings),
        loaded,
        ids,
        options,
        settings,
        on_text=_ignore if as_json else _print_piece,
    )
    if as_json:
        print(json.dumps(generated.model_dump(), indent=2))
    else:
        print()
        print(_speed(generated), file=sys.stderr)


def _print_piece(piece: str) -> None:
    print(piece, end="", flush=True)


def _ignore(piece: str) -> None:
    pass


def _speed(generated: Generated) -> str:
    first, *rest = generated.token_ns or [0]
    rate = f", then {1e9 / statistics.fmean(rest):.1f} tok/s" if rest else ""
    return (
        f"{len(generated.prompt_ids)} prompt tokens, {len(generated.token_ids)} generated; "
        f"first after {first / 1e6:.0f} ms{rate}"
    )
