"""Reports about the results of a recipe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field

from toolkit.errors import ToolkitError
from toolkit.extras import missing_extras
from toolkit.recipes import fingerprints
from toolkit.recipes.planning import Planning, is_known, unknown_key
from toolkit.recipes.status import batch_status
from toolkit.recipes.step_estimates import StepEstimate
from toolkit.recipes.step_kinds import StepKind
from toolkit.recipes.steps import Beginning, ModuleWork, Stage, State, Step
from toolkit.recipes.workspace import Workspace
from toolkit.report.batch import BatchStatus
from toolkit.settings import Settings


class ReportWork(ModuleWork):
    """Write one report about these runs and about what became of the batch."""

    kind: ClassVar = "report"
    stage: ClassVar = "summaries"
    place: ClassVar = "here"
    module: ClassVar = "toolkit.recipes.work.report"

    file: str
    title: str
    batch: BatchStatus | None = None
    run_ids: tuple[str, ...] = Field(())

    def begun(self, beginning: Beginning) -> Self:
        """With the runs that there are now, and how the batch stands."""
        workspace = beginning.workspace
        records = (workspace.record(key) for key in beginning.needs)
        ids = [
            (record.result or {}).get("run_id")
            for record in records
            if record and record.last.outcome == "done"
        ]
        status = batch_status(beginning.recipe, workspace)
        # A report that counts itself would always say that something is still running.
        measured = tuple(step for step in status.steps if step.kind != self.kind)
        status = status.model_copy(update={"steps": measured})
        return self.model_copy(update={"run_ids": tuple(one for one in ids if one), "batch": status})


class ReportKind(StepKind):
    """One step for each file."""

    stage: ClassVar[Stage] = "summaries"

    def plan(self, planning: Planning) -> Sequence[Step]:
        """See :class:`StepKind`."""
        recipe, workspace = planning.loaded.recipe, planning.workspace
        steps: list[Step] = []
        results = planning.of_stage("results")
        keys = tuple(step.key for step in results)
        for file in dict.fromkeys(workspace.batch(recipe.name) / name for name in recipe.report):
            title = f"report {file.relative_to(workspace.batch(recipe.name))}"
            known = all(map(is_known, keys))
            identity = ["report", str(file), keys, fingerprints.report_code()]
            key = fingerprints.digest(identity) if known else unknown_key(title, keys)
            done = known and written(file).exists() and _shows_all(key, results, workspace)
            state: State = "done" if done else "to do" if known else "unknown"
            steps.append(
                Step(
                    key,
                    title,
                    ReportWork(file=str(file), title=recipe.name),
                    state,
                    # One after the other: each of them tags the runs anew.
                    needs=(*keys, *(step.key for step in steps[-1:])),
                    estimate=StepEstimate(seconds=3.0, disk_bytes=2_000_000),
                    output=written(file),
                )
            )
        return steps

    def lacks(self, works: Sequence[ReportWork], settings: Settings) -> Sequence[ToolkitError]:
        """What draws charts; Markdown has none."""
        drawn = any(Path(work.file).suffix != ".md" for work in works)
        missing = missing_extras("report") if drawn else None
        return [missing] if missing else []


KIND = ReportKind()


def written(file: Path) -> Path:
    """What a report leaves: the file that the recipe names, or for pictures the folder of that name."""
    return file.with_suffix("") if file.suffix == ".png" else file


def _shows_all(key: str, results: Sequence[Step], workspace: Workspace) -> bool:
    """Whether the report was written after everything that it shows."""
    record = workspace.record(key)
    if record is None or record.last.outcome != "done":
        return False
    if any(step.state != "done" for step in results):
        return False
    shown = (workspace.record(step.key) for step in results)
    return all(
        one is None or (one.last.ended_unix_ns or 0) <= (record.last.ended_unix_ns or 0) for one in shown
    )
