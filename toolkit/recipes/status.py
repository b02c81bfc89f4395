"""How far a batch is, read from its files: from another terminal, or long after it ended."""

from __future__ import annotations

from toolkit.errors import UsageError
from toolkit.recipes.problems import did_you_mean
from toolkit.recipes.workspace import BatchFile, StepRecord, Workspace
from toolkit.report.batch import BatchStatus, BatchStep, StepState


def batch_status(name: str, workspace: Workspace) -> BatchStatus:
    """The state of every step of a recipe's newest batch.

    Raises:
        UsageError: this recipe was never run in this workspace.
    """
    batch = workspace.batch_file(name)
    if batch is None:
        hint = (
            did_you_mean(name, workspace.batch_names()) if workspace.batch_names() else "Nothing was run yet."
        )
        raise UsageError("was never run in this workspace", subject=f"recipe {name}", next_step=hint)
    running = workspace.is_running(name)
    records = {step["key"]: workspace.record(step["key"]) for step in batch.steps}
    broken = any(record and record.last.outcome == "failed" for record in records.values())
    steps = []
    for step in batch.steps:
        record = records[step["key"]]
        state = _state(step, record, batch, running=running, broken=broken)
        last = record.last if record else None
        steps.append(
            BatchStep(
                name=step["title"],
                kind=step["kind"],
                state=state,
                seconds=last.seconds if last else None,
                detail=last.error if last and state == "failed" else None,
            )
        )
    return BatchStatus(name=name, steps=tuple(steps))


def _state(
    step: dict[str, str], record: StepRecord | None, batch: BatchFile, *, running: bool, broken: bool
) -> StepState:
    if record is None or record.last.outcome == "running":
        if record is not None and running:
            return "running"
        if step["state"] == "done":
            return "cached"
        return "waiting" if running or not broken else "skipped"
    if record.last.outcome == "failed":
        return "failed"
    before = (record.last.ended_unix_ns or 0) < batch.started_unix_ns
    return "cached" if before else "done"
