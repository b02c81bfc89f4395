"""A process that imports the heavy libraries once and forks a fresh child for every step.

Importing torch and transformers takes seconds, converting a tiny model a fraction of one. A forked child has
the libraries, memory of its own, a log of its own, and can be killed without harm to the others.

Protocol, JSON lines. In: job (a number), work, workspace, share, settings, log, reply. Out: job and pid when
the child runs; job, status (its wait status) and peak_bytes when it has ended. What it did is in the reply
file. When the other side goes away, everything ends.

Started as ``python -m toolkit.recipes.executors.forkserver PARENT_PID``.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, BinaryIO

from toolkit.recipes.executors.child import answer, die_with
from toolkit.recipes.steps import work_from_json
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

_OOM_SCORE = 500


def main() -> None:
    """Serve until stdin ends."""
    die_with(int(sys.argv[1]))
    # Ctrl-C is the business of the process that started us: it ends the children one by one. Blocked, not
    # ignored: what is sent to a child that has just been forked waits until it can be dealt with.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    commands = os.fdopen(os.dup(0), "rb", buffering=0)
    events = os.fdopen(os.dup(1), "wb", buffering=0)
    # Libraries print: that must not end up between the events.
    os.dup2(2, 1)
    _Server(commands, events).serve()


class _Server:
    def __init__(self, commands: BinaryIO, events: BinaryIO) -> None:
        self._commands = commands
        self._events = events
        self._jobs: dict[int, int] = {}
        self._wakeup_read, self._wakeup_write = os.pipe()
        os.set_blocking(self._wakeup_write, False)

    def serve(self) -> None:
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        pending = b""
        while True:
            ready, _, _ = select.select([self._commands.fileno(), self._wakeup_read], [], [])
            if self._wakeup_read in ready:
                os.read(self._wakeup_read, 4096)
                self._reap()
            if self._commands.fileno() in ready:
                chunk = os.read(self._commands.fileno(), 1 << 16)
                if not chunk:
                    self._end_children()
                    return
                *lines, pending = (pending + chunk).split(b"\n")
                for line in lines:
                    self._start(json.loads(line))

    def _start(self, command: dict[str, Any]) -> None:
        failure = _prepare(command["work"])
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._be_child(command, failure, server)
        self._jobs[pid] = command["job"]
        self._tell({"job": command["job"], "pid": pid})

    def _be_child(self, command: dict[str, Any], failure: BaseException | None, server: int) -> None:
        """Do the work and exit; nothing of the server may run in here afterwards."""
        try:
            # First of all: what goes wrong from here on is in the step's own log.
            _redirect(Path(command["log"]))
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            # A group of its own: it can be ended with all that it has started.
            os.setsid()
            die_with(server)
            _offer_to_oom_killer()
            for stream in (self._commands, self._events):
                stream.close()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            answer(
                Path(command["reply"]),
                command["work"],
                Workspace(Path(command["workspace"]), command["share"]),
                Settings.from_json(command["settings"]),
                failure,
            )
        except BaseException:
            traceback.print_exc()
            os._exit(70)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)

    def _reap(self) -> None:
        while self._jobs:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
            if pid == 0:
                return
            job = self._jobs.pop(pid)
            self._tell({"job": job, "status": status, "peak_bytes": usage.ru_maxrss * _RSS_UNIT})

    def _end_children(self) -> None:
        for pid in self._jobs:
            try:
                os.killpg(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for pid in self._jobs:
            # Who sees us end may rely on it that nobody writes any more.
            os.waitpid(pid, 0)

    def _tell(self, event: dict[str, Any]) -> None:
        self._events.write(json.dumps(event).encode() + b"\n")


# Linux counts the resident size in kilobytes, macOS in bytes.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def _prepare(work: dict[str, Any]) -> BaseException | None:
    """Import what the work needs, so that later children have it; what goes wrong is the child's to tell."""
    try:
        work_from_json(work).prepare()
    except Exception as error:
        return error
    return None


def _offer_to_oom_killer() -> None:
    """When memory runs out, the kernel shall end this child, not the batch and not the user's editor."""
    try:
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="utf-8")
    except OSError:
        pass  # not Linux, or not allowed: the kernel chooses by itself


def _redirect(log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)


if __name__ == "__main__":
    main()
