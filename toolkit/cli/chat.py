"""`slm chat`: a conversation with a model on a device."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.chat.request import GenerateRequest
from toolkit.cli.request_options import takes
from toolkit.cli.text_output import OutputClosed, end_quietly, write_text
from toolkit.errors import ToolkitError, UsageError
from toolkit.files import expanded
from toolkit.progress import remark, say
from toolkit.settings import Settings

if TYPE_CHECKING:
    from toolkit.chat.dialogue import Dialogue
    from toolkit.chat.kept_model import KeptModel
    from toolkit.chat.loaded_model import LoadedModel

_HELP = """\
/reset          forget what was said
/system [TEXT]  put a system message in front, or none
/save FILE      write the conversation, for --messages
/quit           end; so does Ctrl-D
Ctrl-C stops an answer."""


@takes(GenerateRequest)
def chat(
    artifact: Path = typer.Argument(help="Artifact folder, made by slm convert.", metavar="ARTIFACT"),
    device: str | None = typer.Option(
        None, "--device", "-d", help="Serial, or local; the attached phone when there is just one."
    ),
    system: str | None = typer.Option(None, "--system", help="System message."),
    messages: Path | None = typer.Option(
        None, "--messages", metavar="FILE", help="Go on with a conversation of /save."
    ),
    *,
    request: GenerateRequest,
) -> None:
    """Talk with a model on a device. It stays loaded, and only what is new is computed.

    A line is a message; lines that begin with / are commands, /help lists them. Ctrl-C stops an answer.
    A phone that goes away costs no conversation: the model is loaded again for the next message.

    \b
    Examples:
      slm chat smollm2-8da4w
      slm chat smollm2-8da4w --device R5CT1234567 --system "Answer in one sentence." --temperature 0.7
      slm chat smollm2-8da4w --messages yesterday.json
    """  # noqa: D301
    from toolkit.artifact import Artifact
    from toolkit.chat.dialogue import Dialogue
    from toolkit.chat.kept_model import KeptModel
    from toolkit.chat.loaded_model import load_model
    from toolkit.cli.generate import conversation_of
    from toolkit.devices.discovery import open_device
    from toolkit.devices.selection import chosen_serial

    settings = Settings.from_environment()
    loaded = Artifact.load(artifact)
    dialogue = Dialogue(loaded, [] if messages is None else conversation_of(messages), system=system)
    serial = chosen_serial(device, settings)

    def load() -> AbstractContextManager[LoadedModel]:
        return load_model(
            open_device(serial, settings), loaded, settings, threads=request.threads, runner=request.runner
        )

    try:
        with KeptModel(load) as model:
            with model.use():
                pass
            _talk(dialogue, model, request)
    except OutputClosed:
        end_quietly()


def _talk(dialogue: Dialogue, model: KeptModel, request: GenerateRequest) -> None:
    by_hand = sys.stdin.isatty()
    if by_hand:
        # Lines can be edited and called back.
        import readline  # noqa: F401

        remark("/help lists the commands.")
    while (line := _next_line(by_hand)) is not None:
        try:
            if line.startswith("/"):
                if not _obey(line, dialogue):
                    return
            elif line:
                _answer(line, dialogue, model, request)
        except KeyboardInterrupt:
            # Whatever was under way; the chat goes on.
            write_text("\n")
            say("stopped")
        except ToolkitError as error:
            # A script is told by the exit code, a person goes on.
            if not by_hand:
                raise
            say(f"error: {error}")


def _answer(line: str, dialogue: Dialogue, model: KeptModel, request: GenerateRequest) -> None:
    with model.use() as loaded:
        generated = dialogue.ask(loaded, line, request, on_text=write_text)
    write_text("\n")
    full = len(generated.prompt_ids) + len(generated.token_ids) >= loaded.context_length
    remark(
        f"[{generated.speed()}]" + ("; the context is full: /reset begins a new conversation" if full else "")
    )


def _next_line(by_hand: bool) -> str | None:
    """The next line without its end; None at the end of the input, and at the second Ctrl-C.

    Raises:
        UsageError: piped input is no text.
    """
    if not by_hand:
        try:
            line = sys.stdin.readline()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"the conversation on stdin is not UTF-8: {error}", next_step="Give it in UTF-8."
            ) from None
        return line.strip() if line else None
    try:
        try:
            return input("> ").strip()
        except KeyboardInterrupt:
            say("\n/quit ends; so does Ctrl-C once more.")
            return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        return None


def _save(dialogue: Dialogue, file: Path) -> None:
    try:
        dialogue.save(file)
    except OSError as error:
        # The conversation goes on, so that it can be saved elsewhere.
        raise UsageError(
            f"cannot be written: {error.strerror}", subject=str(file), next_step="Name another file."
        ) from None


def _obey(line: str, dialogue: Dialogue) -> bool:
    """Do what a command says; whether the conversation goes on.

    Raises:
        UsageError: no such command, or one without its file.
    """
    command, _, rest = line.partition(" ")
    rest = rest.strip()
    if command == "/quit":
        return False
    if command == "/help":
        say(_HELP)
    elif command == "/reset":
        dialogue.reset()
        say("a new conversation")
    elif command == "/system":
        dialogue.set_system(rest)
        say("system message set" if rest else "no system message")
    elif command == "/save" and not rest:
        raise UsageError("/save needs a file", next_step="/save conversation.json")
    elif command == "/save":
        _save(dialogue, expanded(rest))
        say(f"saved {len(dialogue)} messages in {rest}")
    else:
        raise UsageError(f"{line!r} is no command", next_step="/help lists them.")
    return True
