"""An executor that does nothing and says that it was done: for what a batch makes of its plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from toolkit.recipes.executors.child import Answer
from toolkit.recipes.executors.executor import Ended, Task
from toolkit.recipes.kinds.fetch import FetchWork
from toolkit.recipes.steps import Resources
from toolkit.recipes.workspace import SourceLock, Workspace


class Pretending:
    """Pins what is fetched to one commit for each id, whatever branch was asked for."""

    name = "pretending"
    on_this_host = False

    def __init__(
        self,
        workspace: Workspace,
        result_of: Callable[[Task], dict[str, Any]] = lambda task: {"artifact": "made"},
        fails: Callable[[Task], bool] = lambda task: False,
    ) -> None:
        self.started: list[str] = []
        self._workspace, self._result_of, self._fails = workspace, result_of, fails
        self._ended: list[Ended] = []

    def has_room(self, resources: Resources) -> bool:
        return True

    def start(self, task: Task) -> None:
        self.started.append(task.title)
        if self._fails(task):
            self._ended.append(Ended(task.key, Answer(outcome="failed", error="in vain", exit_code=1)))
            return
        if isinstance(task.work, FetchWork):
            pin(task.work, self._workspace)
        elif task.work.stage == "artifacts":
            self._workspace.artifact(task.key).mkdir(parents=True, exist_ok=True)
        self._ended.append(Ended(task.key, Answer(outcome="done", result=self._result_of(task))))

    def wait(self, timeout_s: float) -> Sequence[Ended]:
        ended, self._ended = self._ended, []
        return ended

    def interrupt(self) -> None:
        self._ended.clear()

    def close(self) -> None:
        self._ended.clear()


def pin(work: FetchWork, workspace: Workspace) -> None:
    workspace.write_source(
        work.lock,
        SourceLock.model_validate(
            {
                "model": work.model,
                "asked_revision": work.revision,
                "info": {"kind": "hub", "id": work.model, "revision": "c0ffee", "files": []},
                "config": {},
            }
        ),
    )


def links(workspace: Workspace, name: str) -> list[Path]:
    return sorted((workspace.batch(name) / "artifacts").iterdir())
