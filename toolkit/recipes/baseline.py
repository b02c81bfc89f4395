"""The baseline that a recipe begins by itself: the runs of its first batch that is done as a whole."""

from __future__ import annotations

from toolkit.recipes.schema import Recipe
from toolkit.recipes.status import batch_status
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings


def begin_baseline(recipe: Recipe, workspace: Workspace, settings: Settings) -> int:
    """Give the newest batch's runs the recipe's baseline tag, where no run of the recipe has it yet.

    Half a baseline would let what it lacks pass unchecked: nothing is tagged before every step is done.

    Returns:
        How many runs are the baseline from now on; 0 where there was nothing to begin.
    """
    from toolkit.store import open_store
    from toolkit.store.tags import tag_runs

    if recipe.baseline is None:
        return 0
    if any(step.state not in ("done", "cached") for step in batch_status(recipe.name, workspace).steps):
        return 0
    batch = workspace.batch_file(recipe.name)
    assert batch is not None, "it has a status"
    records = [workspace.record(step["key"]) for step in batch.steps]
    # The result's run: an earlier attempt's, where that was stored before it was killed.
    results = [record.result for record in records if record is not None and record.result is not None]
    run_ids = [result["run_id"] for result in results if result.get("run_id")]
    with open_store(settings.store_url) as store:
        if store.run_ids(f"recipe = '{recipe.name}' and tag = '{recipe.baseline}'"):
            return 0
        return tag_runs(store, recipe.baseline, run_ids)
