"""`slm generate`: text from a model on a device."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from toolkit.chat.request import GenerateRequest
from toolkit.cli.request_options import takes
from toolkit.cli.text_output import OutputClosed, end_quietly, write_text
from toolkit.errors import UsageError
from toolkit.progress import remark

if TYPE_CHECKING:
    from toolkit.chat.answer import Generated
    from toolkit.chat_template.environment import Message


@takes(GenerateRequest)
def generate(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    prompt: str | None = typer.Option(
        None, "--prompt", "-p", help="What to say to the model; - reads stdin.", rich_help_panel="Prompt"
    ),
    messages: Path | None = typer.Option(
        None,
        "--messages",
        metavar="FILE",
        help="In place of a prompt: a conversation, as a JSON list of {role, content}; - reads stdin.",
        rich_help_panel="Prompt",
    ),
    prompts: Path | None = typer.Option(
        None,
        "--prompts",
        metavar="FILE",
        help="In place of a prompt: a file with one per line; of a .jsonl file each line is a JSON text or "
        "conversation. The model is loaded once.",
        rich_help_panel="Prompt",
    ),
    device: str | None = typer.Option(
        None,
        "--device",
        "-d",
        help="Serial, or local; the attached phone when there is just one.",
        rich_help_panel="Device",
    ),
    chat: bool | None = typer.Option(
        None,
        "--chat/--no-chat",
        help="Apply the chat template; done by default when there is one.",
        rich_help_panel="Prompt",
    ),
    system: str | None = typer.Option(
        None, "--system", help="System message, with --chat.", rich_help_panel="Prompt"
    ),
    *,
    request: GenerateRequest,
    as_json: bool = typer.Option(
        False, "--json", help="Print JSON at the end instead of text.", rich_help_panel="Output"
    ),
) -> None:
    """Generate text on a device; it is printed as it comes. Nothing is stored.

    \b
    Examples:
      slm generate smollm2-8da4w --prompt "What is the capital of France?"
      slm generate smollm2-8da4w -d R5CT1234567 -p "Once upon a time" --no-chat --temperature 0.8 --top-p 0.9
      slm generate smollm2-8da4w --messages conversation.json
      slm generate smollm2-8da4w --prompts questions.txt --json
    """  # noqa: D301
    import toolkit

    on_text = None if as_json else write_text
    try:
        if prompts is not None:
            if prompt is not None or messages is not None:
                raise UsageError(
                    "--prompts excludes --prompt and --messages", next_step="Give one of the three."
                )
            answers = toolkit.generate_each(
                artifact,
                _each(prompts),
                request,
                device=device,
                chat=chat,
                system=system,
                on_text=on_text,
            )
            _write_each(answers, as_json)
            return
        generated = toolkit.generate(
            artifact,
            _asked(prompt, messages),
            request,
            device=device,
            chat=chat,
            system=system,
            on_text=on_text,
        )
        write_text(json.dumps(generated.model_dump(), indent=2) + "\n" if as_json else "\n")
    except OutputClosed:
        end_quietly()
    if not as_json:
        remark(generated.speed())


def _write_each(answers: Generator[Generated], as_json: bool) -> None:
    """Write what ends each answer, or JSON of all: of those that are there, whatever broke the rest off."""
    written: list[dict[str, Any]] = []
    try:
        # Closed in any case: the model stays loaded for as long as somebody may ask.
        with closing(answers):
            for generated in answers:
                written.append(generated.model_dump())
                if not as_json:
                    write_text("\n")
                    remark(generated.speed())
    finally:
        if as_json and (written or sys.exc_info()[0] is None):
            write_text(json.dumps(written, indent=2) + "\n")


def _each(file: Path) -> list[str | list[Message]]:
    """The prompts of a file.

    Raises:
        UsageError: it holds none, or a line that is none.
    """
    from toolkit.chat.conversation import parse_messages

    lines = [
        (number, line) for number, line in enumerate(_text_of(file).splitlines(), start=1) if line.strip()
    ]
    if not lines:
        raise UsageError("holds no prompt", subject=str(file), next_step="Write one per line.")
    if file.suffix != ".jsonl":
        return [line for _, line in lines]
    found: list[str | list[Message]] = []
    for number, line in lines:
        is_text = line.lstrip().startswith('"')
        found.append(
            _json_text(line, f"{file}: line {number}")
            if is_text
            else parse_messages(line, origin=f"{file}: line {number}")
        )
    return found


def _json_text(line: str, origin: str) -> str:
    try:
        return str(json.loads(line))
    except ValueError as error:
        raise UsageError(f"is not JSON: {error}", subject=origin, next_step='Write "a text".') from None


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
    return conversation_of(messages)


def conversation_of(file: Path) -> list[Message]:
    """The messages in a file.

    Raises:
        UsageError: it cannot be read, or holds no conversation.
    """
    from toolkit.chat.conversation import parse_messages

    return parse_messages(_text_of(file), origin=str(file))


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"cannot be read: {reason}", subject=str(file), next_step="Give a file in UTF-8."
        ) from None


def _stdin(what: str) -> str:
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{what} on stdin is not UTF-8: {error}", next_step="Give it in UTF-8.") from None
