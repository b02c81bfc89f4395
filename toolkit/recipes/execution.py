"""`slm recipe run` without its command line: fetch what must be known, plan, run, sum up."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from toolkit.recipes import fingerprints, matrix
from toolkit.recipes.baseline import begin_baseline
from toolkit.recipes.batch import Batch, Choice, Listener, Summary
from toolkit.recipes.executors.executor import Executor
from toolkit.recipes.freshness import Freshness
from toolkit.recipes.lacking import refuse_lacking
from toolkit.recipes.plan import Plan, make_plan
from toolkit.recipes.planning import Phones, phones_here
from toolkit.recipes.schema import LoadedRecipe
from toolkit.recipes.workspace import BatchFile, Workspace
from toolkit.settings import Settings

# Made only when there is something to run: a second run starts nothing.
OpenExecutor = Callable[[Plan], Executor]


def run_recipe(
    loaded: LoadedRecipe,
    workspace: Workspace,
    settings: Settings,
    open_executor: OpenExecutor,
    *,
    choice: Choice,
    listener: Listener,
    refetch: bool = False,
    again: Iterable[str] = (),
    phones: Phones = phones_here,
) -> Summary:
    """Run what is not done of a recipe.

    Args:
        loaded: the recipe.
        workspace: where artifacts and records are.
        settings: store and caches.
        open_executor: makes the executor.
        choice: which steps.
        listener: hears what happens.
        refetch: take what the hub has today in place of what was fetched before.
        again: kinds whose steps are done again although they are done.
        phones: asked what the word "phones" stands for, once, and only if the recipe has it.

    Raises:
        BatchBusy: another process runs this recipe.
        UsageError: a word of the choice means no step.
        ToolkitError: the plan cannot be made, this machine lacks what a step needs, or the executor cannot be
            started.
    """
    name = loaded.recipe.name
    # Before the first step: a workspace with steps and without an identity is one of before.
    workspace.identity()
    with workspace.batch_lock(name):
        if refetch:
            for one in matrix.conversions(loaded.recipe.convert):
                workspace.forget_source(fingerprints.lock_name(one.model))
        # Once for all plans: a phone that comes or goes meanwhile must not change what is being run.
        phones, again = cache(phones), tuple(again)

        def planned() -> Plan:
            return make_plan(loaded, workspace, settings, phones=phones, again=again)

        plan = planned()
        chosen = choice.of(plan)
        described = BatchFile(
            recipe=str(loaded.path),
            recipe_sha256=loaded.sha256,
            executor="none",
            started_unix_ns=time.time_ns(),
            pid=os.getpid(),
            id=_new_batch_id(),
            steps=[],
        )
        _describe(plan, described, workspace)
        if not chosen.to_do:
            begun = begin_baseline(loaded.recipe, workspace, settings)
            return Summary(batch=described.id, already=len(chosen.steps), baseline=begun)
        executor = open_executor(chosen)
        with closing(executor):
            if executor.on_this_host:
                refuse_lacking(chosen, settings)
            described = described.model_copy(update={"executor": executor.name})
            _describe(plan, described, workspace)
            freshness = Freshness(loaded.recipe.schedule.fresh_s, frozenset(again), described.started_unix_ns)
            batch = Batch(plan, workspace, executor, choice, listener, described.id, freshness)
            if any(step.work.stage == "sources" for step in chosen.to_do):
                # What they turn out to be decides about the keys of everything else.
                batch.run("sources")
                batch.plan = planned()
                _describe(batch.plan, described, workspace)
            summary = batch.run()
        _link_artifacts(batch.plan, workspace)
        return replace(summary, baseline=begin_baseline(loaded.recipe, workspace, settings))


def _new_batch_id() -> str:
    """Readable, and in the order of time."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


def _describe(plan: Plan, batch: BatchFile, workspace: Workspace) -> None:
    """For `slm recipe status`, in another terminal."""
    steps = [
        {"key": step.key, "kind": step.kind, "title": step.title, "state": step.state}
        | ({"output": str(step.output)} if step.output else {})
        for step in plan.steps
    ]
    workspace.write_batch(plan.recipe.recipe.name, batch.model_copy(update={"steps": steps}))


def _link_artifacts(plan: Plan, workspace: Workspace) -> None:
    """Give artifacts names that people can read, in the batch's folder."""
    folder = workspace.batch(plan.recipe.recipe.name) / "artifacts"
    folder.mkdir(exist_ok=True)
    for link in folder.iterdir():
        if link.is_symlink():
            link.unlink()
    for step in plan.steps:
        record = workspace.record(step.key) if step.work.stage == "artifacts" else None
        if record is None or record.result is None or step.output is None or not step.output.exists():
            continue
        link = folder / f"{record.result['artifact']}-{step.key[:6]}"
        if link.exists():
            # What a copy of the workspace has made of a link.
            continue
        link.symlink_to(os.path.relpath(step.output, folder))
