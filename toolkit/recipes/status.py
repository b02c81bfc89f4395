"""How far a batch is, read from its files: from another terminal, or long after it ended."""

from __future__ import annotations

from toolkit.errors import UsageError
from toolkit.recipes.problems import nearest_choice
from toolkit.recipes.workspace import Attempt, BatchFile, StepRecord, Workspace
from toolkit.report.batch import BatchStatus, BatchStep, StepState


def batch_status(name: str, workspace: Workspace) -> BatchStatus:
    """The state of every step of a recipe's newest batch.

    Raises:
        UsageError: this recipe was never run in this workspace.
    """
    batch = workspace.batch_file(name)
    if batch is None:
        hint = (
            nearest_choice(name, workspace.batch_names())
            if workspace.batch_names()
            else "Nothing was run yet."
        )
        raise UsageError("was never run in this workspace", subject=f"recipe {name}", next_step=hint)
    running = workspace.is_running(name)
    records = {step["key"]: workspace.record(step["key"]) for step in batch.steps}
    broken = any(
        record and record.last.outcome == "failed" and _is_of(record.last, batch)
        for record in records.values()
    )
    steps = []
    for step in batch.steps:
        record = records[step["key"]]
        state = _state(step, record, batch, running=running, broken=broken)
        last = record.last if record and state not in ("waiting", "skipped") else None
        steps.append(
            BatchStep(
                name=step["title"],
                kind=step["kind"],
                state=state,
                seconds=last.seconds if last else None,
                ended_unix_ns=last.ended_unix_ns if last else None,
                run_id=last.run_id if last else None,
                detail=last.error if last and state == "failed" else None,
                log=str(log) if (log := workspace.log(step["key"])).is_file() else None,
                output=step.get("output") if state in ("done", "cached") else None,
                verdict=record.result.get("verdict") if record and record.result and last else None,
            )
        )
    return BatchStatus(name=name, batch=batch.id or None, steps=tuple(steps))


def _state(
    step: dict[str, str], record: StepRecord | None, batch: BatchFile, *, running: bool, broken: bool
) -> StepState:
    waiting: StepState = "waiting" if running or not broken else "skipped"
    if record is None:
        return "cached" if step["state"] == "done" else waiting
    last = record.last
    if not _is_of(last, batch):
        # What an earlier batch did counts when this one's plan says so, and is done again otherwise.
        return "cached" if step["state"] == "done" else waiting
    if last.outcome == "running":
        return "running" if running else waiting
    if last.outcome == "failed":
        return "failed"
    return "cached" if last.found else "done"


def _is_of(attempt: Attempt, batch: BatchFile) -> bool:
    """Whether this batch made the attempt; files of before tell by the time alone."""
    if batch.id and attempt.batch is not None:
        return attempt.batch == batch.id
    return attempt.outcome == "running" or (attempt.ended_unix_ns or 0) >= batch.started_unix_ns
