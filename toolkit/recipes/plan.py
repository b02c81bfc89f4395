"""The plan: every step of a recipe with its key, what it needs, what it will take, and whether it is done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from toolkit.recipes.freshness import Freshness
from toolkit.recipes.planning import Phones, Planning, is_known, phones_here
from toolkit.recipes.schema import LoadedRecipe
from toolkit.recipes.share import Share
from toolkit.recipes.step_estimates import History
from toolkit.recipes.step_kinds import STEP_KINDS
from toolkit.recipes.steps import STAGES, Step
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings


@dataclass(frozen=True)
class Plan:
    """All steps of a recipe, in an order in which they can be done."""

    recipe: LoadedRecipe
    steps: tuple[Step, ...]

    @property
    def to_do(self) -> tuple[Step, ...]:
        """Steps that are not done."""
        return tuple(step for step in self.steps if step.state != "done")


def make_plan(
    loaded: LoadedRecipe,
    workspace: Workspace,
    settings: Settings,
    *,
    phones: Phones = phones_here,
    again: Iterable[str] = (),
) -> Plan:
    """Plan a recipe against what the workspace and the store have already.

    Args:
        loaded: the recipe.
        workspace: where artifacts and records are.
        settings: says which store and caches.
        phones: asked what the word "phones" stands for; those that adb sees here by default.
        again: kinds whose steps are to be done again although they are done.

    Raises:
        ToolkitError: the store cannot be opened, or a model's files cannot be read.
    """
    planning = Planning(
        loaded,
        workspace,
        settings,
        phones,
        History.of(workspace.records()),
        None if workspace.share is None else frozenset(Share(workspace.share).keys()),
        Freshness(loaded.recipe.schedule.fresh_s, frozenset(again)),
    )
    kinds = [STEP_KINDS.get(name) for name in STEP_KINDS]
    for stage in STAGES:
        for kind in kinds:
            if kind.stage == stage:
                planning.steps += kind.plan(planning)
    # Two combinations may turn out to be one, like a model with and without the name of its branch.
    unique: dict[str | int, Step] = {}
    for step in planning.steps:
        unique.setdefault(step.key if is_known(step.key) else id(step), step)
    return Plan(loaded, tuple(unique.values()))
