"""What a step does, in a process of its own; each module is imported by the processes that need it."""

from __future__ import annotations

import importlib
from typing import Any

from pydantic import TypeAdapter

from toolkit.recipes.steps import Work
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

_WORK: TypeAdapter[Work] = TypeAdapter(Work)


def module_of(kind: str) -> str:
    """The module that does steps of this kind; importing it loads every library that it needs."""
    return f"toolkit.recipes.work.{kind}"


def run_work(work: Work, workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """Do a step.

    Returns:
        JSON data for the step's record.

    Raises:
        ToolkitError: anything that a user can cause or a device can do.
    """
    result: dict[str, Any] = importlib.import_module(module_of(work.kind)).run(work, workspace, settings)
    return result


def work_from_json(data: Any) -> Work:
    """Read work that another process sent."""
    return _WORK.validate_python(data)
