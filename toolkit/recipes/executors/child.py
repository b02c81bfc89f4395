"""The process that does one step: runs it, and leaves an answer that cannot be misread."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Literal

from toolkit.artifact import Frozen
from toolkit.engines import converting_extras
from toolkit.errors import ArtifactCorrupt, BatchError, DeviceError, DeviceFull, StoreLocked, ToolkitError
from toolkit.extras import install_command
from toolkit.recipes.steps import work_from_json
from toolkit.recipes.workspace import Workspace, write_atomically
from toolkit.settings import Settings
from toolkit.system_refusals import explain

_PR_SET_PDEATHSIG = 1


class Answer(Frozen):
    """What became of a step, as its process tells it.

    Attributes:
        result: JSON data for the record, of a step that is done.
        error: for people, of one that failed.
        exit_code: of the error's class; 70 (EX_SOFTWARE) for a bug.
        again: whether another attempt may end otherwise.
        started_unix_ns: when the work began, which may be long after the step was handed over.
    """

    outcome: Literal["done", "failed", "interrupted"]
    result: dict[str, Any] | None = None
    error: str | None = None
    exit_code: int = 0
    again: bool = False
    started_unix_ns: int | None = None


def failed(what: str, next_step: str, *, exit_code: int = 1, again: bool = False) -> Answer:
    """The answer of a step that did not end well, and what to do about it."""
    text = f"{what}\n  next: {next_step}"
    return Answer(outcome="failed", error=text, exit_code=exit_code, again=again)


def answer(
    reply: Path,
    work: dict[str, Any],
    workspace: Workspace,
    settings: Settings,
    failure: BaseException | None = None,
) -> None:
    """Do the work, given as JSON data, and write the answer; ``failure`` is what preparing it ended with."""
    write_atomically(reply, answered(work, workspace, settings, failure).model_dump_json())


def answered(
    work: dict[str, Any], workspace: Workspace, settings: Settings, failure: BaseException | None = None
) -> Answer:
    """Do the work and say what became of it; raises nothing."""
    started = time.time_ns()
    return _answered(work, workspace, settings, failure).model_copy(update={"started_unix_ns": started})


def _answered(
    work: dict[str, Any], workspace: Workspace, settings: Settings, failure: BaseException | None
) -> Answer:
    try:
        if failure is not None:
            raise failure
        return Answer(outcome="done", result=work_from_json(work).run(workspace, settings))
    except ToolkitError as error:
        if isinstance(error, ArtifactCorrupt) and Path(error.subject or "").is_relative_to(workspace.root):
            error.next_step = f"Delete {error.subject}, and run the recipe again: it is converted again."
        return Answer(outcome="failed", error=str(error), exit_code=error.exit_code, again=_may_pass(error))
    except ModuleNotFoundError as error:
        install = install_command("convert", *converting_extras(), "report")
        return failed(f"needs the package {error.name}", install, exit_code=2)
    except MemoryError:
        return failed(
            "ran out of memory",
            "close other programs, or take a larger machine; with limits.memory_gb it waits for room",
        )
    except KeyboardInterrupt:
        return Answer(outcome="interrupted", error="interrupted", exit_code=130)
    except OSError as error:
        return _refused(error, workspace, settings)
    except Exception as error:
        return _bug(error)


def _refused(error: OSError, workspace: Workspace, settings: Settings) -> Answer:
    """A full disk, say, is nobody's bug; the log has the traceback all the same."""
    explained = explain(error, settings)
    if explained is None:
        return _bug(error)
    traceback.print_exc()
    if error.filename is None:
        explained.next_step = f"{explained.next_step} The workspace is {workspace.root}."
    return Answer(outcome="failed", error=str(explained), exit_code=explained.exit_code)


def _bug(error: Exception) -> Answer:
    """The batch goes on with other steps; the log keeps the traceback of what can only be a bug."""
    traceback.print_exc()
    what = f"{type(error).__name__}: {error}"
    return failed(what, "this is a bug; its traceback is in the log", exit_code=70)


def die_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends, however it ends. Linux only.

    Args:
        parent: its process id; when it is not our parent any more, this process ends at once.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _may_pass(error: ToolkitError) -> bool:
    """Devices, locks and shares come back; a wrong model stays wrong."""
    return isinstance(error, DeviceError | StoreLocked | BatchError) and not isinstance(error, DeviceFull)
