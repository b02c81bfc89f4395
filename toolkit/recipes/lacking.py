"""What the steps of a plan need on this machine and is not here, said before the first of them begins."""

from __future__ import annotations

from collections.abc import Sequence

from toolkit.errors import ToolkitError, UsageError
from toolkit.recipes.plan import Plan
from toolkit.recipes.step_kinds import STEP_KINDS
from toolkit.settings import Settings


def lacking(plan: Plan, settings: Settings) -> Sequence[ToolkitError]:
    """What the steps to do would end with here; see :meth:`StepKind.lacks`."""
    kinds = dict.fromkeys(step.kind for step in plan.to_do)
    found = [
        error
        for kind in kinds
        for error in STEP_KINDS.get(kind).lacks(
            [step.work for step in plan.to_do if step.kind == kind], settings
        )
    ]
    return list({str(error): error for error in found}.values())


def refuse_lacking(plan: Plan, settings: Settings) -> None:
    """Refuse to begin what cannot come to its end here.

    Raises:
        ToolkitError: what is missing; a UsageError that lists them when there are several.
    """
    found = lacking(plan, settings)
    if len(found) == 1:
        raise found[0]
    if found:
        listed = "\n".join(f"  {error}".replace("\n", "\n  ") for error in found)
        raise UsageError(
            f"steps need {len(found)} things that are not here; nothing was begun\n{listed}",
            subject=f"recipe {plan.recipe.recipe.name}",
            next_step="Do what each says, or leave out what needs it.",
        )
