"""A conversion in a process of its own, for models whose own code may run: nothing of it reaches ours.

What the process says comes as JSON: a message that could hold objects would let that code act in here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn

from toolkit import errors, files
from toolkit.api.conversion_here import convert_here
from toolkit.artifact import Artifact
from toolkit.errors import ToolkitError, UnsupportedModel
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings

_STDERR = 2
# transformers keeps copies of models' own code in a package of this name.
_FOREIGN = "transformers_modules"


def convert_apart(request: ConvertRequest, output: Path, settings: Settings, *, overwrite: bool) -> Artifact:
    """Find the model and convert it, in another process.

    Args:
        request: what is asked for.
        output: the folder to write.
        settings: caches.
        overwrite: replace an artifact.

    Raises:
        ToolkitError: as :func:`toolkit.export.convert.convert` and :func:`toolkit.sources.resolve`.
        UnsupportedModel: the model's own code failed, or ended the process.
    """
    ours, theirs = Pipe()
    with ours:
        with theirs:
            command = [sys.executable, "-m", "toolkit.api.conversion_apart", str(theirs.fileno())]
            process = subprocess.Popen(
                # What the model's code prints is no result.
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,
            )
        work = {
            "request": request.model_dump(mode="json"),
            "output": str(output.absolute()),
            "settings": settings.to_json(),
            "overwrite": overwrite,
        }
        try:
            ours.send_bytes(json.dumps(work).encode())
            answer = ours.recv_bytes()
        except (EOFError, ConnectionError):
            _ended(process.wait(), request.model, output)
        finally:
            process.kill()
            process.wait()
    _raise(json.loads(answer))
    return Artifact.load(output)


def _ended(code: int, model: str, output: Path) -> NoReturn:
    files.remove_leftovers_of_the_dead(output)
    if code == -signal.SIGKILL:
        how, then = "was killed, most likely for want of memory", "Close other programs"
    else:
        how = f"ended with {f'signal {signal.Signals(-code).name}' if code < 0 else f'exit code {code}'}"
        then = "Look into the Python code that comes with the model"
    raise UnsupportedModel(
        f"the process that converts it, with the model's own code, {how}",
        subject=model,
        next_step=f"{then}, or choose a model type that docs/families.md lists.",
    )


def _raise(answer: dict[str, str | None]) -> None:
    """Raise the error that an answer tells of, if it does."""
    if answer["error"] is None:
        return
    kind = getattr(errors, answer["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, ToolkitError)):
        kind = UnsupportedModel
    raise kind(str(answer["what"]), subject=answer["subject"], next_step=answer["next_step"])


def _answer(work: dict[str, object]) -> dict[str, str | None]:
    request = ConvertRequest.model_validate(work["request"])
    settings = Settings.from_json(work["settings"])  # type: ignore[arg-type]  # as Settings.to_json gave it
    told: tuple[str | None, ...] = (None,) * 4
    try:
        convert_here(request, Path(str(work["output"])), settings, overwrite=bool(work["overwrite"]))
    except ToolkitError as error:
        told = (type(error).__name__, error.what, error.subject, error.next_step)
    except Exception as error:
        # Code from elsewhere raises whatever it likes; what is not its doing stays a fault of ours.
        if not any(name.split(".")[0] == _FOREIGN for name in _modules(error)):
            raise
        first = (str(error).splitlines() or [""])[0][:200]
        told = (
            UnsupportedModel.__name__,
            f"the model's own code fails: {type(error).__name__}: {first}",
            request.model,
            "Look into the Python code that comes with the model, or choose a model type that "
            "docs/families.md lists.",
        )
    return dict(zip(("error", "what", "subject", "next_step"), told, strict=True))


def _modules(error: BaseException) -> Iterator[str]:
    """Modules that an error came through."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield str(frame.f_globals.get("__name__"))


def _main() -> None:
    connection = Connection(int(sys.argv[1]))
    work = json.loads(connection.recv_bytes())
    connection.send_bytes(json.dumps(_answer(work)).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    # Whatever the model's code left to be done at exit is nobody's wish.
    os._exit(0)


if __name__ == "__main__":
    _main()
