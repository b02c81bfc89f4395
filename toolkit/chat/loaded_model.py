"""A model that stays loaded on a device and answers turn after turn (docs/runner.md, Serving)."""

from __future__ import annotations

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

from toolkit.app.driver import Runner
from toolkit.artifact import Artifact
from toolkit.chat.answer import AnswerText, Ending, Generated
from toolkit.chat.generate import room_for
from toolkit.chat.request import GenerateRequest
from toolkit.chat.tokens import load_tokenizer, stop_token_ids
from toolkit.devices.base import CommandResult, Device
from toolkit.devices.interrupt import Interrupt, interruptible_by
from toolkit.errors import DeviceError, DeviceTimeout, ResultInvalid, ToolkitError, UsageError
from toolkit.profiling import remote
from toolkit.profiling.flags import engine_flags
from toolkit.profiling.session import launch
from toolkit.profiling.session.ending import ending_of_exit_code
from toolkit.profiling.session.preflight import check_threads, work_timeout_s
from toolkit.profiling.session.push import push
from toolkit.settings import Settings
from toolkit.store import new_run_id

# A stop is heard between two chunks of a prompt; smaller ones would cost speed.
_PREFILL_CHUNK = 128
# How long a runner that has nothing to do any more may take to end.
_END_S = 10.0
# What the runner says ended a turn, in our words.
_ENDINGS: dict[str, Ending] = {
    "stop_token": "stop",
    "maximum": "length",
    "context": "length",
    "stopped": "stopped",
}


@dataclass(frozen=True)
class _Ended:
    """The runner has ended, or the link to it."""

    outcome: CommandResult | DeviceError


class LoadedModel:
    """An artifact in the runner on a device; made by :func:`load_model`.

    One answer at a time. Of a prompt that begins as the text before did, only the rest is computed.

    Attributes:
        artifact: the model.
        context_length: tokens of prompt and answer together.
        tokenizer: the artifact's.
    """

    def __init__(self, device: Device, artifact: Artifact, run_id: str, command: Sequence[str]) -> None:
        self.artifact = artifact
        self.context_length = artifact.manifest.context_length
        self.tokenizer = load_tokenizer(artifact)
        self._device = device
        self._run_id = run_id
        self._stop_ids = ",".join(map(str, stop_token_ids(artifact))) or "-"
        self._said: queue.SimpleQueue[dict[str, Any] | _Ended] = queue.SimpleQueue()
        self._turn = 0
        self._writing = threading.Lock()
        self._interrupt = Interrupt()
        reader, writer = os.pipe()
        self._requests: IO[bytes] = os.fdopen(writer, "wb")
        self._link = threading.Thread(
            target=self._converse, args=(command, os.fdopen(reader, "rb")), daemon=True
        )
        self._link.start()

    def answer(
        self, prompt: list[int], options: GenerateRequest, *, on_text: Callable[[str], None]
    ) -> Generated:
        """Continue a text; what it begins with is not computed again where the text before began alike.

        Raises:
            ContextFull: the prompt fills the context.
            RunnerFailed: the runner ended with an error; the model is loaded no longer.
            DeviceError: the device failed; likewise.
            KeyboardInterrupt: Ctrl-C. The answer has been stopped, and the model stays loaded.
        """
        room = room_for(self.artifact, prompt, self.context_length)
        maximum = min(options.max_tokens, room)
        # The turn before has ended, unless Ctrl-C came before anybody waited for it.
        self.stop()
        self._turn += 1
        words = [self._turn, maximum, self._stop_ids, options.temperature, options.top_k, options.top_p]
        self._tell(" ".join(map(str, ["turn", *words, options.seed, *prompt])))
        text = AnswerText(self.tokenizer, options.stop, on_text)
        allowed_s = work_timeout_s(self.artifact.manifest.size_bytes, len(prompt) + maximum)
        try:
            end = self._follow(text, time.monotonic() + allowed_s)
        except KeyboardInterrupt:
            self.stop()
            self._follow(text, time.monotonic() + allowed_s)
            text.finish()
            raise
        text.finish()
        return text.generated(prompt, _ENDINGS[end["ending"]], end["kept"])

    def stop(self) -> None:
        """Ask for the end of the answer under way, from any thread; without one nothing happens."""
        self._tell(f"stop {self._turn}")

    def await_start(self) -> None:
        """Wait until the model is loaded.

        Raises:
            ToolkitError: it cannot be.
        """
        self._next(("start",), time.monotonic() + work_timeout_s(self.artifact.manifest.size_bytes, 0))

    def close(self) -> None:
        """Let the runner end, or end it."""
        with self._writing, suppress(BrokenPipeError):
            self._requests.close()
        self._link.join(_END_S)
        # A link that hangs is cut; there is nothing left to wait for.
        self._interrupt.request()
        self._link.join(_END_S)

    def _follow(self, text: AnswerText, deadline: float) -> dict[str, Any]:
        """Take the turn's tokens until it ends; gives the record that says how."""
        while True:
            record = self._next(("token", "turn"), deadline)
            if record["record"] == "token":
                if not text.stopped:
                    text.take(record["id"], record["ns"])
                    if text.stopped:
                        self.stop()
            elif record["ending"] == "refused":
                raise UsageError(
                    record["message"], subject=self.artifact.name, next_step="Give it another prompt."
                )
            else:
                return record

    def _next(self, kinds: tuple[str, ...], deadline: float) -> dict[str, Any]:
        """The next record of these kinds, of the turn under way."""
        while True:
            try:
                said = self._said.get(timeout=max(deadline - time.monotonic(), 0))
            except queue.Empty:
                raise DeviceTimeout(
                    "the model gave no answer in time",
                    serial=self._device.serial,
                    next_step="Check the device; ask for fewer tokens.",
                ) from None
            if isinstance(said, _Ended):
                # Whoever asks again is told again.
                self._said.put(said)
                raise self._why(said.outcome)
            if said["record"] in kinds and said.get("turn", self._turn) == self._turn:
                return said

    def _why(self, outcome: CommandResult | DeviceError) -> ToolkitError:
        if isinstance(outcome, DeviceError):
            return outcome
        if outcome.returncode == 0:
            return ResultInvalid(
                "the runner ended while it was needed",
                subject=f"device {self._device.serial}",
                next_step="Run the same command again.",
            )
        run_dir = remote.run_dir(self._device, self._run_id)
        try:
            said = launch.read_remote_text(self._device, f"{run_dir}/{remote.STDERR}", last_bytes=4096)
        except DeviceError as unreachable:
            return unreachable
        error = ending_of_exit_code(outcome.returncode, said, serial=self._device.serial).error
        assert error is not None, "a code other than 0 is an error"
        return error

    def _tell(self, request: str) -> None:
        with self._writing:
            try:
                self._requests.write(f"{request}\n".encode())
                self._requests.flush()
            except (BrokenPipeError, ValueError):
                # The runner is gone; what it left in the queue says why.
                pass

    def _converse(self, command: Sequence[str], requests: IO[bytes]) -> None:
        """The link to the runner, for as long as there is one; in a thread of its own."""
        with interruptible_by(self._interrupt), requests:
            try:
                outcome: CommandResult | DeviceError = launch.converse_with_runner(
                    self._device, self._run_id, command, requests, on_stdout_line=self._take_line
                )
            except DeviceError as error:
                outcome = error
            except KeyboardInterrupt:
                outcome = DeviceError(
                    "the link was cut", serial=self._device.serial, next_step="Run the same command again."
                )
        self._said.put(_Ended(outcome))

    def _take_line(self, line: str) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            return
        if isinstance(record, dict) and "record" in record:
            self._said.put(record)


@contextmanager
def load_model(
    device: Device,
    artifact: Artifact,
    settings: Settings,
    *,
    threads: int = 0,
    runner: Runner = "shell",
) -> Iterator[LoadedModel]:
    """Push what is missing and keep the model loaded while the block runs; the device is locked meanwhile.

    Args:
        device: where.
        artifact: the model.
        settings: caches.
        threads: of the engine; 0 leaves them to the runner.
        runner: the app cannot do this.

    Raises:
        UsageError: more threads than the device has CPUs, or the app.
        RunnerFailed: the model cannot be loaded.
        DeviceError: the device failed.
    """
    if runner == "app":
        raise UsageError(
            "slm chat and slm serve keep a model loaded in the shell only",
            next_step="Use --runner shell, or slm app chat for a conversation inside the app.",
        )
    with device.lock():
        if threads:
            check_threads(threads, device.info())
        pushed = push(device, artifact, settings)
        run_id = new_run_id()
        try:
            launch.make_run_dir(device, run_id)
            command = [*pushed.command, "serve", "--model", pushed.artifact_dir, "--run-id", run_id]
            command += engine_flags(threads, prefill_chunk=_PREFILL_CHUNK)
            model = LoadedModel(device, artifact, run_id, command)
            try:
                model.await_start()
                yield model
            finally:
                model.close()
        finally:
            launch.abandon(device, run_id)
