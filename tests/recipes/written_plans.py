"""Plans of recipes that tests write."""

from __future__ import annotations

from pathlib import Path

from toolkit.recipes.plan import Plan, make_plan
from toolkit.recipes.validation import load_recipe
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings


def written_plan(folder: Path, settings: Settings, text: str) -> Plan:
    """The plan of a recipe that is written to ``folder``."""
    path = folder / "recipe.yaml"
    path.write_text(text)
    return make_plan(load_recipe(path, settings.models_dir), Workspace.default(settings), settings)
