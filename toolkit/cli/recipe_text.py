"""What `slm recipe` prints."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.cli.tables import Column, line_width, print_folded, print_table

if TYPE_CHECKING:
    from toolkit.recipes.batch import Summary
    from toolkit.recipes.plan import Plan
    from toolkit.recipes.steps import Step
    from toolkit.recipes.workspace import Workspace
    from toolkit.report.batch import BatchStatus


def shipped_recipes() -> Iterator[tuple[Path, str]]:
    """Recipes in the checkout or in the installed package, with the first line of their headers."""
    package = Path(toolkit.__file__).parent
    for folder in (package / "recipes" / "shipped", package.parent / "recipes"):
        for path in sorted(folder.glob("*/*.yaml")):
            yield path, path.read_text().splitlines()[0].lstrip("# ")


def plan_data(plan: Plan, workspace: Workspace) -> dict[str, Any]:
    """A plan as JSON data. A step whose state is done has been done before, at ``done_unix_ns``."""
    return {
        "recipe": plan.recipe.recipe.name,
        "steps": [
            {
                "key": step.key,
                "kind": step.kind,
                "title": step.title,
                "state": step.state,
                "needs": list(step.needs),
                "seconds": round(step.estimate.seconds, 1),
                "disk_bytes": step.estimate.disk_bytes,
                "ram_bytes": step.estimate.ram_bytes,
                "output": str(step.output) if step.output else None,
                "done_unix_ns": _done_unix_ns(step, workspace),
            }
            for step in plan.steps
        ],
    }


def print_plan(plan: Plan, workspace: Workspace) -> None:
    """A table of steps, and what those to do will take together."""
    rows = []
    for step in plan.steps:
        if step.state == "done":
            rows.append(("done before", _ago(_done_unix_ns(step, workspace)), "", "", step.title))
        else:
            rows.append((step.state, *_takes(step), step.title))
    columns = (
        Column("STATE"),
        Column("TIME"),
        Column("DISK", rank=1),
        Column("RAM", rank=2),
        Column("STEP", least=32),
    )
    print_table(columns, rows, width=line_width())
    to_do = plan.to_do
    seconds = sum(step.estimate.seconds for step in to_do)
    disk = sum(step.estimate.disk_bytes for step in to_do)
    ram = max((step.estimate.ram_bytes for step in to_do), default=0)
    done = len(plan.steps) - len(to_do)
    print(
        f"{len(plan.steps)} steps, {done} done before. The others: about {_duration(seconds)} one after the "
        f"other, {_size(disk)} of disk, up to {_size(ram)} of memory at once."
    )
    if any(step.state == "unknown" for step in plan.steps):
        print("Steps in state unknown: whether they are done shows when their model has been fetched.")


class Narrator:
    """Tells on stderr what happens in a batch, one line per event."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __call__(self, event: str, step: Step, error: str) -> None:
        """Print one line; what went wrong gets its message and the log's place."""
        words = {
            "started": "start ", "done": "done  ", "found": "there ", "failed": "FAILED", "again": "again ",
        }  # fmt: skip
        print(f"{words[event]} {step.title}", file=sys.stderr, flush=True)
        if error:
            print(f"       {error}\n       log: {self._workspace.log(step.key)}", file=sys.stderr, flush=True)


def summary_data(summary: Summary, status: BatchStatus) -> dict[str, Any]:
    """A summary as JSON data; of the steps, ``done`` are done now and ``cached`` were done before."""
    return {
        "batch": summary.batch,
        "done": summary.done,
        "already": summary.already,
        "left": summary.left,
        "runs": list(summary.runs),
        "failed": [{"step": title, "error": error} for title, error in summary.failed],
        "exit_code": summary.exit_code,
        "steps": status.model_dump(mode="json")["steps"],
    }


def print_summary(summary: Summary, status: BatchStatus, workspace: Workspace) -> None:
    """What became of a batch, and what it measured."""
    text = f"{status.name}: {summary.done} steps done now, {summary.already} done before"
    text += f", {len(summary.failed)} failed" if summary.failed else ""
    text += f", {summary.left} not run" if summary.left else ""
    print(f"{text}.")
    before = [step.ended_unix_ns for step in status.steps if step.run_id and step.state == "cached"]
    if summary.runs:
        print(f"Measured now: {len(summary.runs)} runs, slm results list --batch {summary.batch}")
    elif before and not summary.failed:
        newest = _ago(max(one or 0 for one in before) or None) or "at some time"
        print(f"Nothing was measured now; the newest run was made {newest}. Measure again with --again.")
    print(f"Results: slm results list --recipe {status.name}; files: {workspace.batch(status.name)}")


def print_status(status: BatchStatus, *, running: bool) -> None:
    """A table of steps and a count of each state."""
    from toolkit.report.batch import STATE_WORDS, STEP_STATES

    width = line_width()
    rows = []
    for step in status.steps:
        seconds = "" if step.seconds is None else f"{step.seconds:.1f}"
        rows.append((STATE_WORDS[step.state], seconds, _ago(step.ended_unix_ns), step.name))
    columns = (
        Column("STATE"),
        Column("SECONDS", numeric=True, rank=2),
        Column("ENDED", rank=1),
        Column("STEP", least=32),
    )
    print_table(columns, rows, width=width)
    for step in status.steps:
        if step.detail:
            print_folded(f"{step.name}: {step.detail}", width=width, indent="  ")
    counts = ", ".join(
        f"{status.count(state)} {STATE_WORDS[state]}" for state in STEP_STATES if status.count(state)
    )
    batch = f" (batch {status.batch})" if status.batch else ""
    state = "running" if running else "not running"
    print_folded(f"{status.name}{batch}: {state}; {counts}", width=width, indent="  ")


def _done_unix_ns(step: Step, workspace: Workspace) -> int | None:
    record = workspace.record(step.key) if step.state == "done" else None
    return record.last.ended_unix_ns if record else None


def _ago(unix_ns: int | None) -> str:
    """How long ago; empty where nobody knows."""
    if unix_ns is None:
        return ""
    return f"{_duration(max(0, time.time_ns() - unix_ns) / 1e9)} ago"


def _takes(step: Step) -> tuple[str, str, str]:
    estimate = step.estimate
    ram = _size(estimate.ram_bytes) if estimate.ram_bytes else ""
    return _duration(estimate.seconds), _size(estimate.disk_bytes) if estimate.disk_bytes else "", ram


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
