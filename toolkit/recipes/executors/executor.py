"""What runs steps: a pool of processes on this machine, or a Ray cluster, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toolkit.recipes.executors.child import Answer
from toolkit.recipes.steps import Resources, Work


@dataclass(frozen=True)
class Task:
    """One attempt at a step.

    Attributes:
        key: the step's.
        work: what to do.
        resources: what it takes.
        log: file that its output is added to.
    """

    key: str
    title: str
    work: Work
    resources: Resources
    log: Path


@dataclass(frozen=True)
class Ended:
    """A task that has ended.

    Attributes:
        answer: what became of it.
        peak_bytes: most memory of its process, when known.
    """

    key: str
    answer: Answer
    peak_bytes: int | None = None


class Executor(Protocol):
    """Runs tasks.

    Attributes:
        on_this_host: whether all of them run on this machine, which must then have what they need.
    """

    name: str
    on_this_host: bool

    def has_room(self, resources: Resources) -> bool:
        """Whether a task would begin at once. With nothing running there is always room."""
        ...

    def start(self, task: Task) -> None:
        """Begin a task."""
        ...

    def wait(self, timeout_s: float) -> Sequence[Ended]:
        """Tasks that have ended; waits up to ``timeout_s`` for the first."""
        ...

    def interrupt(self) -> None:
        """End what runs, giving it a moment to clean up."""
        ...

    def close(self) -> None:
        """End everything, at once."""
        ...
