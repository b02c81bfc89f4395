"""Text from a model on a device: tokenize here, run there, decode here as tokens arrive."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.artifact import Artifact
from toolkit.chat.answer import AnswerText, Generated
from toolkit.chat.conversation import check_messages
from toolkit.chat.request import GenerateRequest
from toolkit.chat.tokens import load_tokenizer, stop_token_ids
from toolkit.chat_template.environment import Message
from toolkit.chat_template.template import has_chat_template, render_chat
from toolkit.devices.base import Device
from toolkit.errors import ContextFull, UsageError
from toolkit.profiling import remote
from toolkit.profiling.flags import engine_flags, write_token_ids
from toolkit.profiling.session import launch
from toolkit.profiling.session.ending import ending_of_exit_code
from toolkit.profiling.session.launch import abandon
from toolkit.profiling.session.preflight import check_threads, work_timeout_s
from toolkit.profiling.session.push import Pushed, push
from toolkit.settings import Settings
from toolkit.store import new_run_id

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def prompt_ids(
    artifact: Artifact,
    prompt: str | Sequence[Message],
    *,
    chat: bool | None = None,
    system: str | None = None,
    tokenizer: Tokenizer | None = None,
) -> list[int]:
    """Token ids of a prompt.

    Args:
        artifact: holds tokenizer and chat template.
        prompt: the user's text, or the messages of a conversation.
        chat: apply the chat template; None does so when there is one. A conversation needs it.
        system: system message, only with a chat template.
        tokenizer: the artifact's, where it has been loaded before.

    Raises:
        UsageError: nothing to say, no valid Unicode, or a chat asked of a model that has no template.
    """
    if isinstance(prompt, str):
        if not prompt:
            raise UsageError("the prompt is empty", next_step='Pass --prompt "..."')
        use_chat = has_chat_template(artifact) if chat is None else chat
    else:
        check_messages(prompt, origin="the conversation")
        use_chat = True
        if chat is False:
            raise UsageError(
                "a conversation needs the chat template",
                subject=artifact.name,
                next_step="Leave out --no-chat, or send one text with --prompt.",
            )
        if system is not None:
            raise UsageError(
                "--system stands in front of one prompt, not of a conversation",
                next_step='Write it as the first message: {"role": "system", "content": "..."}',
            )
    if system is not None and not use_chat:
        raise UsageError("--system needs a chat template", subject=artifact.name, next_step="Leave it out.")
    text = (
        prompt if isinstance(prompt, str) and not use_chat else render_chat(artifact, prompt, system=system)
    )
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"the prompt is no valid Unicode at character {error.start}",
            next_step="Give the text in UTF-8.",
        ) from None
    # A template writes the special tokens itself.
    tokenizer = tokenizer or load_tokenizer(artifact)
    try:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=not use_chat).ids
    except Exception as error:  # noqa: BLE001 - tokenizers raises bare Exception
        raise UsageError(
            f"its tokenizer fails on the prompt: {error}",
            subject=artifact.name,
            next_step="Leave out characters that it does not know.",
        ) from None
    beyond = next((one for one in ids if one >= artifact.manifest.architecture.vocab_size), None)
    if beyond is not None:
        raise UsageError(
            f"the prompt has the token {tokenizer.id_to_token(beyond)!r} ({beyond}), which the model has no "
            "embedding for",
            subject=artifact.name,
            next_step="Leave it out of the prompt.",
        )
    if not ids:
        raise UsageError(
            "the tokenizer makes no token of the prompt",
            subject=artifact.name,
            next_step="Pass a longer --prompt.",
        )
    return ids


def room_for(artifact: Artifact, prompt: Sequence[int], context_length: int) -> int:
    """Tokens that a context has room for behind a prompt.

    Raises:
        ContextFull: none.
    """
    room = context_length - len(prompt)
    if room < 1:
        raise ContextFull(
            f"the prompt has {len(prompt)} tokens, its context length is {context_length}",
            subject=artifact.name,
            next_step="Shorten the prompt, or convert with a larger --context.",
        )
    return room


def generate(
    device: Device,
    artifact: Artifact,
    prompt: list[int],
    options: GenerateRequest,
    settings: Settings,
    *,
    on_text: Callable[[str], None],
) -> Generated:
    """Push what is missing, generate, and hand out the text as it comes. Nothing is stored.

    Raises:
        ContextFull: the prompt fills the artifact's context.
        UsageError: more threads than the device has CPUs.
        RunnerFailed: the runner ended with an error.
        DeviceError: the device failed; the runner on it is stopped.
    """
    room = room_for(artifact, prompt, artifact.manifest.context_length)
    options = options.model_copy(update={"max_tokens": min(options.max_tokens, room)})
    text = AnswerText(load_tokenizer(artifact), options.stop, on_text)

    def on_line(line: str) -> None:
        record = token_record(line)
        if record is not None:
            text.take(record[1], record[2])
            if text.stopped:
                raise _StopTextFound

    with device.lock():
        if options.threads:
            check_threads(options.threads, device.info())
        pushed = push(device, artifact, settings, runner=options.runner)
        try:
            _run(device, artifact, pushed, prompt, options, on_line)
        except _StopTextFound:
            pass
    text.finish()
    at_length = not text.stopped and len(text.token_ids) == options.max_tokens
    return text.generated(prompt, "length" if at_length else "stop")


class _StopTextFound(Exception):
    """What the caller wanted to read is there; the runner may end."""


def _run(
    device: Device,
    artifact: Artifact,
    pushed: Pushed,
    prompt: list[int],
    options: GenerateRequest,
    on_line: Callable[[str], None],
) -> None:
    run_id = new_run_id()
    run_dir = remote.run_dir(device, run_id)
    try:
        launch.make_run_dir(device, run_id)
        with tempfile.TemporaryDirectory(prefix="slm-generate-") as folder:
            local = Path(folder) / remote.PROMPT
            write_token_ids(local, prompt)
            device.push(local, f"{run_dir}/{remote.PROMPT}")
        completed = launch.start_runner(
            device,
            run_id,
            [
                *pushed.command,
                "generate",
                *("--model", pushed.artifact_dir),
                *("--run-id", run_id),
                *("--prompt-file", f"{run_dir}/{remote.PROMPT}"),
                *_sampling_flags(options, stop_token_ids(artifact)),
            ],
            timeout_s=work_timeout_s(artifact.manifest.size_bytes, len(prompt) + options.max_tokens),
            on_stdout_line=on_line,
        )
        if completed.returncode != 0:
            said = launch.read_remote_text(device, f"{run_dir}/{remote.STDERR}", last_bytes=4096)
            error = ending_of_exit_code(completed.returncode, said, serial=device.serial).error
            assert error is not None
            raise error
    finally:
        abandon(device, run_id)


def _sampling_flags(options: GenerateRequest, stop_ids: list[int]) -> list[str]:
    flags = ["--max-tokens", str(options.max_tokens), "--temperature", str(options.temperature)]
    flags += ["--top-k", str(options.top_k), "--top-p", str(options.top_p), "--seed", str(options.seed)]
    if stop_ids:
        flags += ["--stop-tokens", ",".join(str(token) for token in stop_ids)]
    return flags + engine_flags(options.threads)


def token_record(line: str) -> tuple[int | None, int, int] | None:
    """(turn, id, ns) of a token's record; None of every other line."""
    try:
        record = json.loads(line)
        if record["record"] != "token":
            return None
        return record.get("turn"), int(record["id"]), int(record["ns"])
    except (ValueError, KeyError, TypeError):
        return None
