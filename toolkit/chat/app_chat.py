"""A conversation inside the app, which knows template and tokens itself; the host sends texts only."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from toolkit.artifact import Artifact, Frozen
from toolkit.chat_format import UnsplitChat
from toolkit.devices.base import Device
from toolkit.errors import UsageError
from toolkit.profiling import remote
from toolkit.profiling.session import launch
from toolkit.profiling.session.ending import ending_of_exit_code
from toolkit.profiling.session.preflight import check_threads, work_timeout_s
from toolkit.profiling.session.push import push
from toolkit.settings import Settings
from toolkit.store import new_run_id

_CONVERSATION = "conversation.json"


class AppAnswer(Frozen):
    """What the model in the app said to one message.

    Attributes:
        prompt_tokens: of the whole conversation so far.
        kept: tokens at its beginning that were not computed again.
        tokens: generated.
        ending: stop_token, maximum, context or stopped.
    """

    turn: int
    text: str
    prompt_tokens: int
    kept: int
    tokens: int
    ending: str


def chat_in_app(
    device: Device,
    artifact: Artifact,
    messages: Sequence[str],
    settings: Settings,
    *,
    system: str | None = None,
    max_tokens: int = 256,
    threads: int = 0,
    on_text: Callable[[int, str], None],
) -> list[AppAnswer]:
    """Say messages one after the other in one conversation in the app.

    Args:
        device: has the app.
        artifact: pushed where it is missing.
        messages: the user's.
        settings: caches.
        system: a message in front.
        max_tokens: most tokens of an answer.
        threads: of the engine; 0 leaves them to it.
        on_text: told the answers piece by piece, each with the number of its message.

    Raises:
        UsageError: the artifact has no chat template that the app can follow, or there is no message.
        RunnerFailed: the app ended with an error.
        DeviceError: the device failed, or has no app.
    """
    check_chat(artifact, system)
    answers: list[AppAnswer] = []

    def on_line(line: str) -> None:
        record = _record(line)
        if record.get("record") == "text":
            on_text(record["turn"], record["text"])
        elif record.get("record") == "answer":
            answers.append(AppAnswer.model_validate({k: v for k, v in record.items() if k != "record"}))

    if not messages or not all(one.strip() for one in messages):
        raise UsageError("there is nothing to say", next_step='Pass --prompt "..."')
    with device.lock():
        if threads:
            check_threads(threads, device.info())
        pushed = push(device, artifact, settings, runner="app")
        run_id = new_run_id()
        run_dir = remote.run_dir(device, run_id)
        try:
            launch.make_run_dir(device, run_id)
            with tempfile.TemporaryDirectory(prefix="slm-chat-") as folder:
                local = Path(folder) / _CONVERSATION
                local.write_text(json.dumps({"system": system, "messages": list(messages)}), encoding="utf-8")
                device.push(local, f"{run_dir}/{_CONVERSATION}")
            flags = ["--model", pushed.artifact_dir, "--run-id", run_id, "--max-tokens", str(max_tokens)]
            flags += ["--conversation", f"{run_dir}/{_CONVERSATION}"]
            flags += ["--threads", str(threads)] if threads else []
            work = len(messages) * (max_tokens + artifact.manifest.context_length)
            completed = launch.start_runner(
                device,
                run_id,
                [*pushed.command, "chat", *flags],
                timeout_s=work_timeout_s(artifact.manifest.size_bytes, work),
                on_stdout_line=on_line,
            )
            if completed.returncode != 0:
                said = launch.read_remote_text(device, f"{run_dir}/{remote.STDERR}", last_bytes=4096)
                error = ending_of_exit_code(completed.returncode, said, serial=device.serial).error
                assert error is not None, "a code other than 0 is an error"
                raise error
        finally:
            launch.abandon(device, run_id)
    return answers


def check_chat(artifact: Artifact, system: str | None) -> None:
    """Refuse what the app would refuse.

    Raises:
        UsageError: no template, one that is not split, or one without system messages.
    """
    chat = artifact.manifest.chat
    if chat is None and artifact.manifest.chat_template_file is None:
        raise UsageError("has no chat template", subject=artifact.name, next_step="Use slm generate.")
    if chat is None:
        raise UsageError(
            "was converted before artifacts kept what the app's chat needs",
            subject=artifact.name,
            next_step="Convert the model again: slm convert MODEL -o DIR",
        )
    if isinstance(chat, UnsplitChat):
        raise UsageError(
            f"its chat template cannot be followed in the app: {chat.reason}",
            subject=artifact.name,
            next_step="Use slm generate --runner app --chat: it renders the template on this machine.",
        )
    if system is not None and chat.system_prefix is None:
        raise UsageError(
            "its chat template takes no system message",
            subject=artifact.name,
            next_step="Leave out --system.",
        )


def _record(line: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
