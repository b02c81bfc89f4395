"""A made-up kind of step that measures: it rolls a die. And an executor that does steps at once, in here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from toolkit.errors import DeviceLost
from toolkit.recipes import fingerprints
from toolkit.recipes.executors.child import answered
from toolkit.recipes.executors.executor import Ended, Task
from toolkit.recipes.planning import Planning
from toolkit.recipes.step_kinds import StepKind
from toolkit.recipes.steps import Resources, Stage, Step, Work, work_to_json
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

_ROLLS = itertools.count(1)


class RollWork(Work):
    """Roll one die, unless it is lost."""

    kind: ClassVar = "roll"
    stage: ClassVar = "results"
    measures: ClassVar = True

    die: str
    lost: str

    def run(self, workspace: Workspace, settings: Settings) -> dict[str, Any]:
        if Path(self.lost).exists():
            raise DeviceLost("fell off the table", serial=self.die)
        return {"roll": next(_ROLLS)}


class RollKind(StepKind):
    """Two dice."""

    stage: ClassVar[Stage] = "results"
    measures: ClassVar[bool] = True

    def plan(self, planning: Planning) -> Sequence[Step]:
        steps = []
        for die in ("red", "white"):
            work = RollWork(die=die, lost=str(planning.loaded.folder / f"{die}-lost"))
            key = fingerprints.digest(["roll", die])
            steps.append(Step(key, f"roll {die}", work, planning.recorded_state(key, work)))
        return steps


KIND = RollKind()


class AtOnce:
    """Does a task when it is started."""

    name = "at once"
    on_this_host = False

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        self._workspace, self._settings = workspace, settings
        self._ended: list[Ended] = []

    def has_room(self, resources: Resources) -> bool:
        return True

    def start(self, task: Task) -> None:
        answer = answered(work_to_json(task.work), self._workspace, self._settings)
        self._ended.append(Ended(task.key, answer))

    def wait(self, timeout_s: float) -> Sequence[Ended]:
        ended, self._ended = self._ended, []
        return ended

    def interrupt(self) -> None:
        self._ended.clear()

    def close(self) -> None:
        self._ended.clear()
