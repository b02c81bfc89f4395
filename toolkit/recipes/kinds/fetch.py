"""Getting models from a hub."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from toolkit.recipes import fingerprints, matrix
from toolkit.recipes.planning import Planning
from toolkit.recipes.step_estimates import StepEstimate
from toolkit.recipes.step_kinds import StepKind
from toolkit.recipes.steps import ModuleWork, Stage, Step


class FetchWork(ModuleWork):
    """Get a model from the hub and pin what it is."""

    kind: ClassVar = "fetch"
    stage: ClassVar = "sources"
    # The lock goes into the workspace of whoever runs the recipe.
    place: ClassVar = "here"
    module: ClassVar = "toolkit.recipes.work.fetch"

    model: str
    revision: str | None
    offline: bool
    trust_remote_code: bool
    lock: str


class FetchKind(StepKind):
    """One step for each model that comes from a hub."""

    stage: ClassVar[Stage] = "sources"

    def plan(self, planning: Planning) -> Sequence[Step]:
        """See :class:`StepKind`; the key is that of the lock."""
        steps = []
        converted = matrix.conversions(planning.loaded.recipe.convert)
        for model, request in {one.model: one.request for one in converted}.items():
            if not fingerprints.is_fetched(model, planning.loaded.folder):
                continue
            lock = fingerprints.lock_name(model)
            work = FetchWork(
                model=model.id,
                revision=model.revision,
                offline=request.offline,
                trust_remote_code=request.trust_remote_code,
                lock=lock,
            )
            there = planning.workspace.source(lock) is not None
            steps.append(
                Step(
                    lock,
                    f"fetch {model.label}",
                    work,
                    "done" if there else "to do",
                    estimate=StepEstimate(seconds=10.0),
                )
            )
        return steps


KIND = FetchKind()
