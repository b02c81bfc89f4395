"""What the kinds of steps share while a recipe is planned."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from toolkit.devices.discovery import list_devices
from toolkit.recipes.estimate import History
from toolkit.recipes.schema import LoadedRecipe
from toolkit.recipes.steps import Stage, State, Step, Work
from toolkit.recipes.targets import LOCAL, PHONES, virtual_count, virtual_name
from toolkit.recipes.workspace import StepRecord, Workspace
from toolkit.settings import Settings

UNKNOWN = "?"


@dataclass
class Planning:
    """A plan in the making.

    Attributes:
        loaded: the recipe and its place.
        workspace: where artifacts and records are.
        settings: says which store and caches.
        phones: what the word "phones" stands for; None until adb was asked.
        history: what earlier steps took.
        shared: keys of the artifacts that other hosts can get; None without a share.
        again: kinds whose steps are to be done again although they are done.
        steps: planned so far: all of earlier stages, and of this one those of earlier kinds.
    """

    loaded: LoadedRecipe
    workspace: Workspace
    settings: Settings
    phones: Sequence[str] | None
    history: History
    shared: frozenset[str] | None
    again: frozenset[str] = frozenset()
    steps: list[Step] = field(default_factory=list)

    def of_kind(self, name: str) -> list[Step]:
        """The steps of a kind, in the order in which it planned them."""
        return [step for step in self.steps if step.kind == name]

    def of_stage(self, stage: Stage) -> list[Step]:
        """The steps of a stage."""
        return [step for step in self.steps if step.work.stage == stage]

    def recorded_state(self, key: str, work: Work) -> State:
        """The state of a step whose record in the workspace is all that there is of its result."""
        if key == UNKNOWN:
            return "unknown"
        record = self.workspace.record(key)
        return "done" if record is not None and self.still_counts(record, work) else "to do"

    def still_counts(self, record: StepRecord, work: Work) -> bool:
        """Whether a step's newest attempt ended well, and by the recipe's rule needs not be done again."""
        last = record.last
        if last.outcome != "done" or work.kind in self.again:
            return False
        fresh_s = self.loaded.recipe.schedule.fresh_s
        if fresh_s is None or not work.measures:
            return True
        # Of a clock that was set back nobody knows how long ago it was.
        return last.ended_unix_ns is not None and 0 <= time.time_ns() - last.ended_unix_ns <= fresh_s * 1e9

    def devices(self, word: str) -> list[str]:
        """The devices that a recipe's word stands for, by their names in the plan."""
        if count := virtual_count(word):
            return [virtual_name(number) for number in range(1, count + 1)]
        if word != PHONES:
            return [word]
        if self.phones is None:
            found = list_devices(self.settings)
            phones = [one for one in found if one.kind != LOCAL and not one.emulated]
            # By its hardware: the same phone under two names, or under a new one tomorrow, is one.
            self.phones = list(dict.fromkeys(one.identity or one.serial for one in phones))
        # With none attached the word stays, so that the plan shows what cannot be run now.
        return list(self.phones) or [PHONES]

    @property
    def timeout_s(self) -> float | None:
        """Longest time for one step."""
        minutes = self.loaded.recipe.limits.timeout_minutes
        return None if minutes is None else minutes * 60
