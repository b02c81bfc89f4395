"""The kinds of steps that a recipe may have.

Another package adds one with an entry point of the group ``slm.step_kinds`` that names its :class:`StepKind`.

A kind says which steps a recipe stands for; its :class:`toolkit.recipes.steps.Work` says how one is done and
where. Nothing else in `recipes/` knows one kind from another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, create_model

from toolkit.errors import RecipeError, ToolkitError, UsageError
from toolkit.recipes.axes import Section
from toolkit.recipes.planning import Planning
from toolkit.recipes.schema import Recipe
from toolkit.recipes.steps import Stage, Step
from toolkit.registry import Registry
from toolkit.settings import Settings


class StepKind(ABC):
    """One kind of steps.

    Attributes:
        stage: when its steps are planned and begun; the same as that of its work.
        measures: whether its steps give other figures when they are done again; the same as of its work.
        section: what a recipe may say about it, under the kind's name; None where nothing is to be said, or
            where the recipe's schema has it already.
    """

    stage: ClassVar[Stage]
    measures: ClassVar[bool] = False
    section: ClassVar[type[Section] | None] = None

    @abstractmethod
    def plan(self, planning: Planning) -> Sequence[Step]:
        """Its steps, with keys, states and resources, in an order in which they can be done.

        Raises:
            ToolkitError: the store cannot be opened, or a model's files cannot be read.
        """

    def problems(self, recipe: Recipe, folder: Path) -> Iterator[tuple[str, UsageError]]:
        """What a recipe's text asks of this kind that no plan could be made of, with the field's name.

        Args:
            recipe: it.
            folder: where its files start from.
        """
        yield from ()

    def lacks(self, works: Sequence[Any], settings: Settings) -> Sequence[ToolkitError]:
        """What its steps would end with on this machine, as far as that shows before any of them begins.

        Packages, tools and data that they need; each thing once, with what to do about it.

        Args:
            works: of its steps that are to be done.
            settings: say where caches are.
        """
        return ()


def _complaint(_: str, entry: object) -> str | None:
    """What is wrong with an entry that a package brings."""
    return None if isinstance(entry, StepKind) else f"is a {type(entry).__name__} and no StepKind"


STEP_KINDS: Registry[StepKind] = Registry(
    "kind of step", RecipeError, entry_points="slm.step_kinds", complaint=_complaint
)
STEP_KINDS.register("fetch", "toolkit.recipes.kinds.fetch:KIND")
STEP_KINDS.register("convert", "toolkit.recipes.kinds.convert:KIND")
STEP_KINDS.register("profile", "toolkit.recipes.kinds.profile:KIND")
STEP_KINDS.register("evaluate", "toolkit.recipes.kinds.evaluate:KIND")
STEP_KINDS.register("report", "toolkit.recipes.kinds.report:KIND")


def measuring_kinds() -> list[str]:
    """The kinds whose steps give other figures when they are done again."""
    return [name for name in STEP_KINDS if STEP_KINDS.get(name).measures]


def sections() -> dict[str, type[Section]]:
    """The sections that kinds bring along, by name."""
    kinds = {name: STEP_KINDS.get(name) for name in STEP_KINDS}
    return {name: kind.section for name, kind in kinds.items() if kind.section is not None}


def recipe_type() -> type[Recipe]:
    """The recipe as a file may have it: with the sections of all kinds."""
    more: dict[str, Any] = {
        name: (section | None, Field(None, description=(section.__doc__ or "").partition("\n")[0]))
        for name, section in sections().items()
    }
    if not more:
        return Recipe
    made: type[Recipe] = create_model("Recipe", __base__=Recipe, __doc__=Recipe.__doc__, **more)
    return made
