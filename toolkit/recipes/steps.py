"""The steps that a plan consists of, and the work that each of them hands to a child process."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

from toolkit.artifact import Frozen
from toolkit.recipes.step_estimates import StepEstimate
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

# Steps are planned, and begin, stage by stage. What sources turn out to be decides about all other keys, so
# the plan is made again after them; summaries show whatever the results are, those that failed included.
Stage = Literal["sources", "artifacts", "results", "summaries"]
STAGES: tuple[Stage, ...] = get_args(Stage)
# Unfinished steps run ("to do"), wait for a model to be fetched ("unknown"), or are there already ("done").
State = Literal["done", "to do", "unknown"]


@dataclass(frozen=True)
class Resources:
    """What a step occupies while it runs.

    Attributes:
        cpus: of the machine; 0 for a step that mostly waits for a phone.
        whole_host: nothing else may run on this machine.
        memory_bytes: expected most.
        memory_limit_bytes: killed above this; None for no limit of its own.
        device: held alone, by its name in the plan.
        timeout_s: killed after this.
    """

    cpus: int = 1
    whole_host: bool = False
    memory_bytes: int = 0
    memory_limit_bytes: int | None = None
    device: str | None = None
    timeout_s: float | None = None


@dataclass(frozen=True)
class Beginning:
    """An attempt that is about to begin.

    Attributes:
        key: the step's.
        needs: keys of the steps that it shows or builds on; with `--keep-going` a summary's may have failed.
        first: the number of the first attempt since the step was last done.
        number: of this attempt, from 1.
        recipe: its name.
        batch: which run of the recipe this is.
        tags: that the recipe gives its runs.
        workspace: holds the records of the steps before it.
    """

    key: str
    needs: tuple[str, ...]
    first: int
    number: int
    recipe: str
    batch: str
    tags: tuple[str, ...]
    workspace: Workspace


class Work(Frozen, ABC):
    """What a step does: JSON data that travels to the process that does it, and how it is done there.

    Attributes:
        kind: the name of its kind, for people and for `--only`.
        stage: when it is planned and begun.
        place: "here" for a step that leaves files with whoever runs the recipe; other steps may run on any
            host of a cluster.
        writes_store: whether it writes to the results store, which all hosts must then share.
        measures: whether doing it again gives other figures, so that `--again` and a schedule concern it.
    """

    kind: ClassVar[str]
    stage: ClassVar[Stage]
    place: ClassVar[Literal["anywhere", "here"]] = "anywhere"
    writes_store: ClassVar[bool] = False
    measures: ClassVar[bool] = False

    @abstractmethod
    def run(self, workspace: Workspace, settings: Settings) -> dict[str, Any]:
        """Do it.

        Returns:
            JSON data for the step's record. ``found: True`` in it says that nothing was done now: the result
            was there already.

        Raises:
            ToolkitError: anything that a user can cause or a device can do.
        """

    def prepare(self) -> None:  # noqa: B027
        """Import what it needs, so that processes forked from this one have it."""

    def begun(self, beginning: Beginning) -> Self:
        """The work of this attempt, where that is more than the plan knows."""
        return self

    @property
    def run_id(self) -> str | None:
        """The id of the run that this attempt stores, when it stores one under an id known before."""
        return None

    def remove_leftovers(self, key: str, workspace: Workspace) -> None:  # noqa: B027
        """Delete what a killed process could not; called after every attempt that did not end well."""


class ModuleWork(Work):
    """Work that a module with heavy imports does: its function ``run(work, workspace, settings)``.

    Attributes:
        module: its dotted name; planning never imports it.
    """

    module: ClassVar[str]

    def prepare(self) -> None:
        """Import the module."""
        importlib.import_module(self.module)

    def run(self, workspace: Workspace, settings: Settings) -> dict[str, Any]:
        """Call its function."""
        result: dict[str, Any] = importlib.import_module(self.module).run(self, workspace, settings)
        return result


@dataclass(frozen=True)
class Step:
    """One step of a plan.

    Attributes:
        key: hash of everything that can change its output; it begins with "?" while a model is not fetched.
        title: for people.
        needs: keys of steps that must be done before it.
        output: the file or folder it makes, when it makes one.
    """

    key: str
    title: str
    work: Work
    state: State
    needs: tuple[str, ...] = ()
    resources: Resources = Resources()
    estimate: StepEstimate = StepEstimate()
    output: Path | None = None

    @property
    def kind(self) -> str:
        """What kind of step it is."""
        return self.work.kind


def work_to_json(work: Work) -> dict[str, Any]:
    """Work for another process, with the name of the class that reads it there."""
    kind = type(work)
    return {"type": f"{kind.__module__}:{kind.__qualname__}", "work": work.model_dump(mode="json")}


def work_from_json(data: dict[str, Any]) -> Work:
    """Read work that another process sent. Its kind need not be registered in this one."""
    module, _, name = data["type"].partition(":")
    kind = getattr(importlib.import_module(module), name)
    work: Work = kind.model_validate(data["work"])
    return work
