"""Steps on this machine: each in a child forked from one warm process, within a CPU and a memory budget."""

from __future__ import annotations

import itertools
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.recipes.executors import memory
from toolkit.recipes.executors.child import Answer, failed
from toolkit.recipes.executors.executor import Ended, Task
from toolkit.recipes.steps import Resources, work_to_json
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

# How often memory is looked at. A child that takes a gigabyte per second overshoots by a fifth of one.
_LOOK_S = 0.2
_INTERRUPT_S = 20.0
_SERVER_LOG = "forkserver"
_STAYS_DONE = "what is done stays done"


@dataclass
class _Job:
    task: Task
    reply: Path
    started_s: float
    oom_kills: int | None
    pid: int | None = None
    # Why we killed it.
    killed: Answer | None = None
    peak_bytes: int = 0


@dataclass
class _Server:
    process: subprocess.Popen[bytes]
    selector: selectors.BaseSelector
    pending: bytes = b""

    def close(self) -> int:
        """Close its pipes, which ends it, and wait for its exit code, which is negative for a signal."""
        self.selector.close()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    pass  # it is gone, and what was written to it last was never read
        return self.process.wait()


@dataclass
class LocalPool:
    """An executor; use it from one thread, the main one, whose end ends the children too.

    Attributes:
        cpus: that steps may occupy together.
    """

    workspace: Workspace
    settings: Settings
    cpus: int
    name: str = "local"
    on_this_host: bool = True
    _jobs: dict[int, _Job] = field(default_factory=dict)
    _numbers: Any = field(default_factory=itertools.count)
    _server: _Server | None = None
    _refused: list[Ended] = field(default_factory=list)
    _replies: Any = field(default_factory=lambda: tempfile.TemporaryDirectory(prefix="slm-recipe-"))

    def has_room(self, resources: Resources) -> bool:
        """Whether CPUs, memory and the device are free."""
        running = [job.task.resources for job in self._jobs.values()]
        if not running:
            return True
        if resources.whole_host or any(one.whole_host for one in running):
            return False
        if resources.device is not None and any(one.device == resources.device for one in running):
            return False
        if resources.cpus and sum(one.cpus for one in running) + resources.cpus > self.cpus:
            return False
        free = memory.available_bytes()
        # Steps that have just begun will take more than they hold now.
        coming = sum(max(0, job.task.resources.memory_bytes - job.peak_bytes) for job in self._jobs.values())
        return free is None or coming + resources.memory_bytes <= free

    def start(self, task: Task) -> None:
        """Begin a task in a fresh child; one that cannot fit into memory ends before it begins."""
        free = memory.available_bytes()
        if free is not None and task.resources.memory_bytes > free and not self._jobs:
            self._refused.append(Ended(task.key, too_large(task.resources.memory_bytes, free)))
            return
        number = next(self._numbers)
        reply = Path(self._replies.name) / f"{number}.json"
        self._jobs[number] = _Job(task, reply, time.monotonic(), memory.oom_kills())
        task.log.parent.mkdir(parents=True, exist_ok=True)
        self._send(
            {
                "job": number,
                "work": work_to_json(task.work),
                "workspace": str(self.workspace.root),
                "share": self.workspace.share,
                "settings": self.settings.to_json(),
                "log": str(task.log),
                "reply": str(reply),
            }
        )

    def wait(self, timeout_s: float) -> Sequence[Ended]:
        """Wait for the first end of a task; meanwhile keep budgets and time limits."""
        deadline = time.monotonic() + timeout_s
        ended, self._refused = self._refused, []
        while self._jobs and not ended:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            ended = self._events(min(_LOOK_S, remaining))
            self._enforce()
        return ended

    def interrupt(self) -> None:
        """Send Ctrl-C to every child, so that a profile run ends its runner, then close."""
        deadline = time.monotonic() + _INTERRUPT_S
        asked: set[int] = set()
        # A child may begin only now. What has not begun when the others have ended never will.
        while (begun := {n for n, job in self._jobs.items() if job.pid}) and time.monotonic() < deadline:
            for number in begun - asked:
                _signal(self._jobs[number], signal.SIGINT)
            asked |= begun
            self._events(_LOOK_S)
        self.close()

    def close(self) -> None:
        """Kill what runs."""
        for job in self._jobs.values():
            _signal(job, signal.SIGKILL)
        self._jobs.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        self._replies.cleanup()

    def _send(self, command: dict[str, Any]) -> None:
        server = self._server or self._start_server()
        assert server.process.stdin is not None, "it was opened with a pipe"
        try:
            server.process.stdin.write(json.dumps(command).encode() + b"\n")
            server.process.stdin.flush()
        except BrokenPipeError:
            pass  # it is gone; the end of its events says so, and ends the task that was meant for it

    def _start_server(self) -> _Server:
        # More threads than the CPUs that a step declares would only get into each other's way.
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        log = self.workspace.log(_SERVER_LOG)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "toolkit.recipes.executors.forkserver", str(os.getpid())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=environ,
            )
        assert process.stdout is not None, "it was opened with a pipe"
        selector = selectors.DefaultSelector()
        selector.register(process.stdout, selectors.EVENT_READ)
        self._server = _Server(process, selector)
        return self._server

    def _events(self, timeout_s: float) -> list[Ended]:
        server = self._server
        if server is None or not server.selector.select(timeout_s):
            return []
        assert server.process.stdout is not None, "it was opened with a pipe"
        chunk = os.read(server.process.stdout.fileno(), 1 << 16)
        if not chunk:
            return self._lost(server)
        *lines, server.pending = (server.pending + chunk).split(b"\n")
        return [ended for line in lines if (ended := self._event(json.loads(line)))]

    def _event(self, event: dict[str, Any]) -> Ended | None:
        job = self._jobs.get(event["job"])
        if job is None:
            return None
        if "pid" in event:
            job.pid = event["pid"]
            return None
        del self._jobs[event["job"]]
        return Ended(job.task.key, self._answer(job, event["status"]), event["peak_bytes"])

    def _answer(self, job: _Job, status: int) -> Answer:
        if job.killed is not None:
            return job.killed
        if os.WIFSIGNALED(status):
            return _killed(os.WTERMSIG(status), job)
        try:
            return Answer.model_validate_json(job.reply.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return failed(
                f"its process ended with exit code {os.WEXITSTATUS(status)} and no answer",
                "what it printed is in the log; where that names no full disk, this is a bug",
                exit_code=70,
                again=True,
            )

    def _lost(self, server: _Server) -> list[Ended]:
        """The warm process itself has ended, and the children with it: the next task starts another one."""
        lost, self._jobs = self._jobs, {}
        self._server = None
        code = server.close()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        answer = failed(
            f"the process that starts steps {how}; what it printed is in {self.workspace.log(_SERVER_LOG)}",
            f"run the recipe again: {_STAYS_DONE}",
            again=True,
        )
        return [Ended(job.task.key, answer) for job in lost.values()]

    def _enforce(self) -> None:
        now = time.monotonic()
        for job in self._jobs.values():
            if job.pid is None or job.killed:
                continue
            limits = job.task.resources
            job.peak_bytes = max(job.peak_bytes, memory.held_bytes(job.pid) or 0)
            if limits.memory_limit_bytes is not None and job.peak_bytes > limits.memory_limit_bytes:
                job.killed = failed(
                    f"took {job.peak_bytes / 1e9:.2f} GB, more than its budget of "
                    f"{limits.memory_limit_bytes / 1e9:.2f} GB, and was killed",
                    "raise limits.memory_gb in the recipe, or convert on a larger machine",
                )
                _signal(job, signal.SIGKILL)
            elif limits.timeout_s is not None and now - job.started_s > limits.timeout_s:
                job.killed = failed(
                    f"took longer than {limits.timeout_s:.0f} s and was killed",
                    "raise limits.timeout_minutes in the recipe",
                    again=True,
                )
                _signal(job, signal.SIGKILL)


def too_large(needed_bytes: int, free_bytes: int) -> Answer:
    """The answer for a step that was not begun, because it cannot fit into memory."""
    return failed(
        f"needs about {needed_bytes / 1e9:.1f} GB of memory, {free_bytes / 1e9:.1f} GB are free",
        "close other programs, or take a larger machine; limits.memory_gb replaces the estimate",
    )


def _killed(number: int, job: _Job) -> Answer:
    """Killed, and not by us."""
    kills = memory.oom_kills()
    out_of_memory = number == signal.SIGKILL and kills is not None and kills > (job.oom_kills or 0)
    if out_of_memory:
        return failed(
            f"the kernel killed it because memory ran out (it held {job.peak_bytes / 1e9:.2f} GB)",
            "close other programs, lower --jobs, or convert on a larger machine",
            again=True,
        )
    return failed(
        f"its process was killed by signal {number}",
        f"see what it printed in the log, and run the recipe again: {_STAYS_DONE}",
        again=True,
    )


def _signal(job: _Job, number: signal.Signals) -> None:
    if job.pid is None:
        return
    try:
        os.killpg(job.pid, number)
    except ProcessLookupError:
        # Not a group's leader yet, or gone.
        try:
            os.kill(job.pid, number)
        except ProcessLookupError:
            pass


def cpu_count() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
