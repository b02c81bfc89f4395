"""What `slm recipe` prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import toolkit

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


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan as JSON data."""
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
            }
            for step in plan.steps
        ],
    }


def print_plan(plan: Plan) -> None:
    """A table of steps, and what those to do will take together."""
    rows = [("STATE", "TIME", "DISK", "RAM", "STEP")]
    for step in plan.steps:
        take = ("", "", "") if step.state == "done" else _takes(step)
        rows.append((step.state, *take, step.title))
    _print_table(rows)
    to_do = plan.to_do
    seconds = sum(step.estimate.seconds for step in to_do)
    disk = sum(step.estimate.disk_bytes for step in to_do)
    ram = max((step.estimate.ram_bytes for step in to_do), default=0)
    done = len(plan.steps) - len(to_do)
    print(
        f"{len(plan.steps)} steps, {done} done. The others: about {_duration(seconds)} one after the other, "
        f"{_size(disk)} of disk, up to {_size(ram)} of memory at once."
    )
    if any(step.state == "unknown" for step in plan.steps):
        print("Steps in state unknown: whether they are done shows when their model has been fetched.")


class Narrator:
    """Tells on stderr what happens in a batch, one line per event."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def __call__(self, event: str, step: Step, error: str) -> None:
        """Print one line; what went wrong gets its message and the log's place."""
        words = {"started": "start ", "done": "done  ", "failed": "FAILED", "again": "again "}
        print(f"{words[event]} {step.title}", file=sys.stderr, flush=True)
        if error:
            print(f"       {error}\n       log: {self._workspace.log(step.key)}", file=sys.stderr, flush=True)


def summary_data(summary: Summary) -> dict[str, Any]:
    """A summary as JSON data."""
    return {
        "done": summary.done,
        "already": summary.already,
        "left": summary.left,
        "failed": [{"step": title, "error": error} for title, error in summary.failed],
        "exit_code": summary.exit_code,
    }


def print_summary(summary: Summary, name: str, workspace: Workspace) -> None:
    """What became of a batch, in two lines."""
    text = f"{name}: {summary.done} steps done now, {summary.already} before"
    text += f", {len(summary.failed)} failed" if summary.failed else ""
    text += f", {summary.left} not run" if summary.left else ""
    print(f"{text}.")
    print(f"Results: slm results list; files: {workspace.batch(name)}")


def print_status(status: BatchStatus, *, running: bool) -> None:
    """A table of steps and a count of each state."""
    from toolkit.report.batch import STEP_STATES

    rows = [("STATE", "SECONDS", "STEP")]
    for step in status.steps:
        seconds = "" if step.seconds is None else f"{step.seconds:.1f}"
        rows.append((step.state, seconds, step.name))
    _print_table(rows)
    for step in status.steps:
        if step.detail:
            print(f"{step.name}: {step.detail}")
    counts = ", ".join(f"{status.count(state)} {state}" for state in STEP_STATES if status.count(state))
    print(f"{status.name}: {'running' if running else 'not running'}; {counts}")


def _takes(step: Step) -> tuple[str, str, str]:
    estimate = step.estimate
    ram = _size(estimate.ram_bytes) if estimate.ram_bytes else ""
    return _duration(estimate.seconds), _size(estimate.disk_bytes) if estimate.disk_bytes else "", ram


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
