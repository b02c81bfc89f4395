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
from toolkit.cli.text_output import OutputClosed, end_quietly, write_text
from toolkit.errors import UsageError

if TYPE_CHECKING:
    from toolkit.chat.environment import Message
    from toolkit.chat.generate import Generated


@takes(GenerateRequest)
def generate(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    prompt: str | None = typer.Option(
        None, "--prompt", "-p", help="What to say to the model; - reads stdin."
    ),
    messages: Path | None = typer.Option(
        None,
        "--messages",
        help="In place of a prompt: a conversation, as a JSON list of {role, content}; - reads stdin.",
    ),
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
    """Generate text on a device; it is printed as it comes. Nothing is stored.

    \b
    Examples:
      slm generate smollm2-8da4w --prompt "What is the capital of France?"
      slm generate smollm2-8da4w -d R5CT1234567 -p "Once upon a time" --no-chat --temperature 0.8 --top-p 0.9
      slm generate smollm2-8da4w --messages conversation.json
    """  # noqa: D301
    import toolkit

    try:
        generated = toolkit.generate(
            artifact,
            _asked(prompt, messages),
            request,
            device=device,
            chat=chat,
            system=system,
            on_text=None if as_json else write_text,
        )
        write_text(json.dumps(generated.model_dump(), indent=2) + "\n" if as_json else "\n")
    except OutputClosed:
        end_quietly()
    if not as_json:
        print(_speed(generated), file=sys.stderr)


def _asked(prompt: str | None, messages: Path | None) -> str | list[Message]:
    """The prompt's text, or the messages of the conversation.

    Raises:
        UsageError: neither or both, or a file that holds no conversation.
    """
    from toolkit.chat.conversation import parse_messages

    if (prompt is None) == (messages is None):
        raise UsageError(
            "nothing to say to the model" if prompt is None else "--prompt and --messages exclude each other",
            next_step='Pass --prompt "...", or --messages FILE.',
        )
    if prompt is not None:
        return _stdin("the prompt") if prompt == "-" else prompt
    assert messages is not None
    if str(messages) == "-":
        return parse_messages(_stdin("the conversation"), origin="stdin")
    try:
        text = messages.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"cannot be read: {reason}", subject=str(messages), next_step="Give a JSON file in UTF-8."
        ) from None
    return parse_messages(text, origin=str(messages))


def _stdin(what: str) -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} on stdin is not UTF-8: {error}", next_step="Give it in UTF-8.") from None


def _speed(generated: Generated) -> str:
    first, *rest = generated.token_ns or [0]
    rate = f", then {1e9 / statistics.fmean(rest):.1f} tok/s" if rest else ""
    return (
        f"{len(generated.prompt_ids)} prompt tokens, {len(generated.token_ids)} generated; "
        f"first after {first / 1e6:.0f} ms{rate}"
    )
