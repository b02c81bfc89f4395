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
from typing import Any, NoReturn

from toolkit import errors, files
from toolkit.api.conversion_here import convert_here
from toolkit.artifact import Artifact
from toolkit.errors import ToolkitError, UnsupportedModel
from toolkit.export.request import ConvertRequest
from toolkit.settings import Settings

_STDERR = 2
_FAULT = "fault of ours"
# transformers keeps copies of models' own code in a package of this name.
_FOREIGN = "transformers_modules"


class ConversionFault(Exception):
    """A fault of the toolkit in the process that converted: no model's, so no error that people can mend.

    Its note is the traceback of that process.
    """


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
        ConversionFault: anything else failed that should not.
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
            _ended(process.wait(), request.model)
        finally:
            process.kill()
            process.wait()
            files.remove_leftovers_of_the_dead(output)
    _raise(json.loads(answer))
    return Artifact.load(output)


def _ended(code: int, model: str) -> NoReturn:
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


def _raise(answer: dict[str, Any]) -> None:
    """Raise the error that an answer tells of, if it does."""
    if answer["error"] is None:
        return
    if answer["error"] == OSError.__name__:
        raise OSError(*answer["arguments"])
    if answer["error"] == ModuleNotFoundError.__name__:
        raise ModuleNotFoundError(answer["what"], name=answer["name"])
    if answer["error"] == _FAULT:
        fault = ConversionFault(answer["what"])
        fault.add_note(answer["traceback"])
        raise fault
    kind = getattr(errors, answer["error"], None)
    if not (isinstance(kind, type) and issubclass(kind, ToolkitError)):
        kind = UnsupportedModel
    raise kind(str(answer["what"]), subject=answer["subject"], next_step=answer["next_step"])


def _answer(work: dict[str, Any]) -> dict[str, Any]:
    try:
        request = ConvertRequest.model_validate(work["request"])
        settings = Settings.from_json(work["settings"])
        convert_here(request, Path(work["output"]), settings, overwrite=bool(work["overwrite"]))
    except Exception as error:
        # Code from elsewhere raises whatever it likes; what is not its doing stays a fault of ours.
        return (
            _of_the_toolkit(error)
            or _of_foreign_code(error, str(work["request"]["model"]))
            or _of_the_machine(error)
            or _of_ours(error)
        )
    return {"error": None}


def _of_the_toolkit(error: Exception) -> dict[str, Any] | None:
    if not isinstance(error, ToolkitError):
        return None
    # Of a kind that one module has for itself, what it is a kind of: it has the same exit code.
    kind = next(one for one in type(error).__mro__ if one.__module__ == errors.__name__)
    said = {"what": error.what, "subject": error.subject, "next_step": error.next_step}
    return {"error": kind.__name__, **said}


def _of_foreign_code(error: Exception, model: str) -> dict[str, Any] | None:
    if not any(name.split(".")[0] == _FOREIGN for name in _modules(error)):
        return None
    return {
        "error": UnsupportedModel.__name__,
        "what": f"the model's own code fails: {type(error).__name__}: {errors.first_line(error)}",
        "subject": model,
        "next_step": "Look into the Python code that comes with the model, or choose a model type that "
        "docs/families.md lists.",
    }


def _of_the_machine(error: Exception) -> dict[str, Any] | None:
    """A full disk, or a package that is not installed: whoever asks has words for them."""
    if isinstance(error, OSError) and error.errno is not None:
        name = None if error.filename is None else os.fsdecode(error.filename)
        return {"error": OSError.__name__, "arguments": [error.errno, error.strerror, name]}
    if isinstance(error, ModuleNotFoundError):
        return {"error": ModuleNotFoundError.__name__, "what": str(error), "name": error.name}
    return None


def _of_ours(error: Exception) -> dict[str, Any]:
    *_, last = traceback.extract_tb(error.__traceback__)
    return {
        "error": _FAULT,
        "what": f"a fault of the toolkit: {type(error).__name__}: {errors.first_line(error)} "
        f"({last.filename}, line {last.lineno})",
        "traceback": "".join(traceback.format_exception(error)),
    }


def _modules(error: BaseException) -> Iterator[str]:
    """Modules that an error came through."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield str(frame.f_globals.get("__name__"))


def _main() -> None:
    # Ctrl-C is the business of the process that asks.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    connection = Connection(int(sys.argv[1]))
    work = json.loads(connection.recv_bytes())
    connection.send_bytes(json.dumps(_answer(work)).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    # Whatever the model's code left to be done at exit is nobody's wish.
    os._exit(0)


if __name__ == "__main__":
    _main()
