"""A decoder in a process of its own: whatever an engine does to that process, this one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from toolkit.errors import EngineFailed, first_line
from toolkit.inference.decoder import open_decoder
from toolkit.registry import resolve

if TYPE_CHECKING:
    from toolkit.engines.spec import EngineSpec
    from toolkit.inference.decoder import Decoder

# A copy of this process has torch and the engine loaded already. Elsewhere than on Linux system libraries do
# not survive in copies.
COPIES = sys.platform == "linux"
_OOM_SCORE = 500


@contextmanager
def decoder_apart(
    engine: EngineSpec, folder: Path, capacity: int, *, copy: bool = COPIES
) -> Iterator[DecoderApart]:
    """An artifact in its engine, in another process on this host that is gone when the block ends.

    Args:
        engine: that it was converted for.
        folder: the artifact's.
        capacity: tokens that it will be fed.
        copy: of this process, in place of a new one that has to load everything.

    Raises:
        EngineFailed: the engine refuses the artifact, or ended its process; the decoder's methods say so.
    """
    ours, theirs = Pipe()
    with ours:
        try:
            pid = (_copied if copy else _started)(engine, folder, capacity, ours, theirs)
        except OSError as error:
            raise EngineFailed(
                f"{engine.title} cannot be tried in a process of its own: {error.strerror}",
                next_step="Free memory, or raise the limit of processes (ulimit -u).",
            ) from None
        finally:
            theirs.close()
        decoder = DecoderApart(engine, ours, pid)
        try:
            yield decoder
        finally:
            decoder.end()


class DecoderApart:
    """A :class:`toolkit.inference.decoder.Decoder` by messages.

    Args:
        engine: for messages to people.
        connection: to the process that has the decoder.
        pid: that process.
    """

    def __init__(self, engine: EngineSpec, connection: Connection, pid: int) -> None:
        self._engine = engine
        self._connection = connection
        self._pid: int | None = pid

    @property
    def every_position(self) -> bool:
        """Whether a step gives logits of all its tokens, not of the last one alone."""
        return bool(self._ask("every_position"))

    def reset(self) -> None:
        """Forget everything seen."""
        self._ask("reset")

    def rewind(self, position: int) -> int:
        """Forget all but the first tokens; returns how many are kept."""
        return int(self._ask("rewind", position))

    def step(self, ids: Sequence[int]) -> torch.Tensor:
        """Feed tokens; returns logits, float32 [1 or len(ids), vocab]."""
        return torch.from_numpy(self._ask("step", list(ids)))

    def end(self) -> None:
        """Let the process end; nothing of it is left afterwards."""
        if self._pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        self._wait()

    def _ask(self, *question: Any) -> Any:
        try:
            self._connection.send(question)
            kind, answer = self._connection.recv()
        except (EOFError, ConnectionError):
            self._died(self._wait())
        if kind == "raised":
            raise EngineFailed(
                f"{self._engine.title} cannot run it: {answer}", next_step=_report(self._engine)
            )
        return answer

    def _wait(self) -> int:
        assert self._pid is not None, "it ends once"
        _, status = os.waitpid(self._pid, 0)
        self._pid = None
        return os.waitstatus_to_exitcode(status)

    def _died(self, code: int) -> NoReturn:
        if code == -signal.SIGKILL:
            raise EngineFailed(
                f"{self._engine.title} was killed while it ran it, most likely for want of memory",
                next_step="Close other programs, or convert with a smaller --context.",
            )
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        raise EngineFailed(
            f"{self._engine.title} ended with {how} while it ran it", next_step=_report(self._engine)
        )


def serve(connection: Connection, engine: EngineSpec, folder: Path, capacity: int) -> None:
    """Answer until the other side goes away; a question is a method of the decoder and its arguments."""
    # Ctrl-C is the business of the process that asks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        # When memory runs out, the kernel shall end this process; elsewhere than on Linux it chooses.
        Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE), encoding="utf-8")
    # OpenMP's threads do not come along into a copy.
    torch.set_num_threads(1)
    decoder = None
    with suppress(EOFError, ConnectionError):
        while True:
            question = connection.recv()
            try:
                decoder = decoder or open_decoder(engine, folder, capacity)
                answer = _answer(decoder, *question)
            except Exception as error:
                # Engines raise classes of their own, or bare ones.
                connection.send(("raised", f"{type(error).__name__}: {first_line(error)}"))
            else:
                connection.send(("done", answer))


def _answer(decoder: Decoder, name: str, *arguments: Any) -> Any:
    asked = getattr(decoder, name)
    answer = asked(*arguments) if callable(asked) else asked
    return answer.numpy() if isinstance(answer, torch.Tensor) else answer


def _copied(engine: EngineSpec, folder: Path, capacity: int, ours: Connection, theirs: Connection) -> int:
    # Loaded once, for all copies.
    resolve(engine.decoder)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        ours.close()
        serve(theirs, engine, folder, capacity)
        code = 0
    finally:
        # Nothing of the process that was copied may run in here: no handler, and no buffer is written twice.
        os._exit(code)


def _started(engine: EngineSpec, folder: Path, capacity: int, ours: Connection, theirs: Connection) -> int:
    number = theirs.fileno()
    arguments = [engine.name, str(folder), str(capacity), str(number)]
    command = [sys.executable, "-m", "toolkit.inference.apart", *arguments]
    process = subprocess.Popen(
        command, pass_fds=[number], stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno()
    )
    # We wait for it ourselves.
    process.returncode = 0
    return process.pid


def _report(engine: EngineSpec) -> str:
    from toolkit.engines import usable_engines

    others = [f"--backend {other.name}" for other in usable_engines() if other.name != engine.name]
    instead = f"; {' or '.join(others)} converts for another engine" if others else ""
    return (
        f"This is a fault of the toolkit or the engine: please report it with the name of the model{instead}."
    )


def _main() -> None:
    from toolkit.engines import ENGINES, set_environment

    set_environment()
    name, folder, capacity, number = sys.argv[1:]
    serve(Connection(int(number)), ENGINES.get(name), Path(folder), int(capacity))


if __name__ == "__main__":
    _main()
