"""Answers from an artifact in the runner on a device: one process for all requests, through a cut link."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toolkit.artifact import Artifact
from toolkit.devices.base import Device
from toolkit.errors import BadLogits, DeviceError, DeviceLost, ResultInvalid
from toolkit.evaluate.on_device.wire import answer_of, request_lines
from toolkit.evaluate.scoring import OnAnswer, Request, shared_order
from toolkit.profiling import remote
from toolkit.profiling.flags import engine_flags
from toolkit.profiling.session import launch
from toolkit.profiling.session.collect import pull_if_there
from toolkit.profiling.session.ending import ending_of_exit_code
from toolkit.profiling.session.preflight import work_timeout_s
from toolkit.profiling.session.push import Pushed, push
from toolkit.progress import say
from toolkit.settings import Settings
from toolkit.store import new_run_id

_REQUESTS = "requests.txt"
# What the runner says when it ends with exit code 7 for this reason.
_NO_NUMBER = "the logits hold no number"


@dataclass(frozen=True)
class LinkPatience:
    """How long a cut link is waited for.

    Attributes:
        total_s: after this long without an answer of the device, the cut is an error.
        look_s: between two looks.
    """

    total_s: float = 300.0
    look_s: float = 2.0


@dataclass(frozen=True)
class RunnerScorer:
    """An artifact on a device.

    Attributes:
        threads: 0 leaves them to the runner.
        kernels: value of the runner's flag; None for its default.
    """

    device: Device
    artifact: Artifact
    settings: Settings
    threads: int = 0
    kernels: str | None = None
    patience: LinkPatience = LinkPatience()

    def answer(self, requests: Sequence[Request], on_answer: OnAnswer) -> None:
        """Answer all requests; see :class:`toolkit.evaluate.scoring.Scorer`.

        Raises:
            BadLogits: the model gives logits that are no numbers.
            DeviceError: the device failed, or did not come back; what it answered before stays so.
            RunnerFailed: the runner ended with an error.
        """
        waiting = dict(enumerate(requests))

        def take(line: str) -> None:
            found = answer_of(line, waiting)
            if found is not None:
                del waiting[found[0]]
                on_answer(*found)

        with self.device.lock():
            pushed = push(self.device, self.artifact, self.settings)
            order = shared_order(requests)
            while waiting:
                before = len(waiting)
                self._attempt(pushed, requests, [one for one in order if one in waiting], take)
                if len(waiting) == before:
                    raise ResultInvalid(
                        f"the runner ended without an answer to {before} requests",
                        subject=f"device {self.device.serial}",
                        next_step="Run the same command again; finished requests are not asked again.",
                    )

    def _attempt(
        self, pushed: Pushed, requests: Sequence[Request], order: Sequence[int], take: Callable[[str], None]
    ) -> None:
        """Ask for what is still open, once; a cut link loses nothing that was answered."""
        device, run_id = self.device, new_run_id()
        run_dir = remote.run_dir(device, run_id)
        try:
            launch.make_run_dir(device, run_id)
            with tempfile.TemporaryDirectory(prefix="slm-score-") as folder:
                local = Path(folder) / _REQUESTS
                local.write_text(
                    "".join(f"{line}\n" for line in request_lines(requests, order)), encoding="utf-8"
                )
                device.push(local, f"{run_dir}/{_REQUESTS}")
            command = [*pushed.command, "score", "--model", pushed.artifact_dir, "--run-id", run_id]
            command += ["--requests", f"{run_dir}/{_REQUESTS}", *engine_flags(self.threads)]
            command += ["--kernels", self.kernels] if self.kernels else []
            work = sum(requests[index].positions for index in order)
            try:
                code: int | None = launch.start_runner(
                    device,
                    run_id,
                    command,
                    timeout_s=work_timeout_s(self.artifact.manifest.size_bytes, work),
                    on_stdout_line=take,
                ).returncode
            except DeviceLost as error:
                say(f"{device.serial}: {error.what}; waiting for it to come back")
                code = self._after_the_cut(run_id, error)
                self._take_what_lies_there(run_dir, take)
            if code:
                self._fail(run_dir, code)
        finally:
            launch.abandon(device, run_id)

    def _after_the_cut(self, run_id: str, cut: DeviceLost) -> int | None:
        """The exit code of a runner that went on without us, once it has ended; None when it is gone."""
        deadline = time.monotonic() + self.patience.total_s
        while True:
            try:
                state = launch.runner_state(self.device, run_id)
            except DeviceError:
                if time.monotonic() > deadline:
                    raise cut from None
            else:
                if state != "running":
                    return None if state == "gone" else state
                deadline = time.monotonic() + self.patience.total_s
            time.sleep(self.patience.look_s)

    def _take_what_lies_there(self, run_dir: str, take: Callable[[str], None]) -> None:
        with tempfile.TemporaryDirectory(prefix="slm-score-") as folder:
            local = Path(folder) / remote.STDOUT
            if pull_if_there(self.device, f"{run_dir}/{remote.STDOUT}", local):
                for line in local.read_text(encoding="utf-8", errors="replace").splitlines():
                    take(line)

    def _fail(self, run_dir: str, code: int) -> None:
        said = launch.read_remote_text(self.device, f"{run_dir}/{remote.STDERR}", last_bytes=4096)
        if _NO_NUMBER in said:
            raise BadLogits.of(self.artifact.name)
        error = ending_of_exit_code(code, said, serial=self.device.serial).error
        assert error is not None
        raise error
