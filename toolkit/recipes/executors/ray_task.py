"""What a Ray worker runs: a pool of one child, so that budgets and time limits hold as on one machine.

The worker stays for further steps, and so does its pool: the libraries are imported once in each.
"""

from __future__ import annotations

import dataclasses
import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from toolkit.recipes.executors.executor import Ended, Task
from toolkit.recipes.executors.local_pool import LocalPool, cpu_count
from toolkit.recipes.steps import Resources, work_from_json
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

_LOOK_S = 1.0
# Of a log, what is sent to the host that runs the recipe.
_LOG_BYTES = 100_000


def run_task(command: dict[str, Any]) -> dict[str, Any]:
    """Do a step on whatever node this is.

    Args:
        command: key, title, work, resources, workspace (None for this host's own), share, settings, host (of
            whom they are): JSON data.

    Returns:
        answer, peak_bytes, and log: what was added to this host's own, as far as the other host lacks it.
    """
    settings, workspace = _settings(command), _workspace(command)
    log = workspace.log(command["key"])
    log.parent.mkdir(parents=True, exist_ok=True)
    before = log.stat().st_size if log.is_file() else 0
    with log.open("a", encoding="utf-8") as file:
        file.write(f"on {platform.node()}, for process {os.getpid()}\n")
    resources = Resources(**command["resources"])
    task = Task(command["key"], command["title"], work_from_json(command["work"]), resources, log)
    ended = _end_of(task, _pool(workspace, settings))
    if ended.answer.outcome != "done":
        task.work.remove_leftovers(task.key, workspace)
    return {
        "answer": ended.answer.model_dump(mode="json"),
        "peak_bytes": ended.peak_bytes,
        "log": _added(log, before) if command["workspace"] is None else "",
    }


@cache
def _pool(workspace: Workspace, settings: Settings) -> LocalPool:
    # Ray has counted CPUs, memory and devices before it gave us the step.
    return LocalPool(workspace, settings, cpus=cpu_count())


def _end_of(task: Task, pool: LocalPool) -> Ended:
    try:
        pool.start(task)
        while True:
            for ended in pool.wait(_LOOK_S):
                return ended
    except KeyboardInterrupt:
        # The batch was interrupted. The pool cannot be used again after this.
        _pool.cache_clear()
        pool.interrupt()
        task.work.remove_leftovers(task.key, pool.workspace)
        raise


def _added(log: Path, before: int) -> str:
    """The end of what a log has got since it had so many bytes."""
    with log.open("rb") as file:
        file.seek(max(before, log.stat().st_size - _LOG_BYTES))
        return file.read().decode(errors="replace")


def _workspace(command: dict[str, Any]) -> Workspace:
    if command["workspace"] is None:
        return Workspace.default(Settings.from_environment(), command["share"])
    return Workspace(Path(command["workspace"]), command["share"])


def _settings(command: dict[str, Any]) -> Settings:
    """Caches and phones are this host's own; the store is the one of whoever runs the recipe."""
    theirs = Settings.from_json(command["settings"])
    if platform.node() == command["host"] and command["workspace"] is not None:
        return theirs
    return dataclasses.replace(Settings.from_environment(), store_url=theirs.store_url)
