"""What `slm recipe` prints."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import toolkit
from toolkit.cli.tables import Column, line_width, print_folded, print_table
from toolkit.progress import is_quiet, say

if TYPE_CHECKING:
    from toolkit.errors import ToolkitError
    from toolkit.recipes.batch import Event, Summary
    from toolkit.recipes.plan import Plan
    from toolkit.recipes.steps import Step
    from toolkit.recipes.workspace import Workspace
    from toolkit.report.batch import BatchStatus, BatchStep


def shipped_recipes() -> Iterator[tuple[Path, str]]:
    """Recipes in the checkout or in the installed package, with the first paragraph of their headers."""
    package = Path(toolkit.__file__).parent
    for folder in (package / "recipes" / "shipped", package.parent / "recipes"):
        for path in sorted(folder.glob("*/*.yaml")):
            first = takewhile(lambda line: line.strip("# "), path.read_text(encoding="utf-8").splitlines())
            yield path, " ".join(line.lstrip("# ") for line in first)


def plan_data(plan: Plan, workspace: Workspace, lacking: Sequence[ToolkitError] = ()) -> dict[str, Any]:
    """A plan as JSON data, with what its steps lack here.

    A step whose state is done has been done before, at ``done_unix_ns``.
    """
    return {
        "recipe": plan.recipe.recipe.name,
        "lacking": [
            {"subject": error.subject, "what": error.what, "next_step": error.next_step} for error in lacking
        ],
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


def print_plan(plan: Plan, workspace: Workspace, lacking: Sequence[ToolkitError] = ()) -> None:
    """A table of steps, what those to do will take together, and what they lack here."""
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
    said = [
        f"{len(plan.steps)} steps, {done} done before. The others: about {duration(seconds)} one after the "
        f"other, {_size(disk)} of disk, up to {_size(ram)} of memory at once."
    ]
    if any(step.state == "unknown" for step in plan.steps):
        said.append("Steps in state unknown: whether they are done shows when their model has been fetched.")
    for sentence in said:
        print_folded(sentence, width=line_width(), indent="  ")
    for error in lacking:
        # As `run` says it, with commands that can be copied.
        print(f"Not here: {error}")


class Narrator:
    """Tells on stderr what happens in a batch, one line per event; with the time where nobody looks on."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._started = time.monotonic()
        self._dated = not sys.stderr.isatty()

    def __call__(self, event: Event) -> None:
        """Print one line; what went wrong gets its message and the log's place."""
        if event.what != "failed" and is_quiet():
            return
        words = {
            "started": "start ", "done": "done  ", "found": "there ", "failed": "FAILED", "again": "again ",
        }  # fmt: skip
        when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} " if self._dated else ""
        digits = len(str(event.total))
        so_far = f"[{event.ended:{digits}}/{event.total}]"
        say(f"{when}{so_far} {words[event.what]} {event.step.title}{self._times(event)}")
        if event.error:
            say(f"       {event.error}\n       log: {self._workspace.log(event.step.key)}")

    def interrupted(self) -> None:
        """Say what to do about a batch that was stopped."""
        say("interrupted: the same command goes on where it was")

    def _times(self, event: Event) -> str:
        if event.what == "started":
            return ""
        record = self._workspace.record(event.step.key)
        took = record.last.seconds if record else None
        parts = [f"took {duration(took)}"] if took is not None else []
        parts.append(f"{duration(time.monotonic() - self._started)} so far")
        if event.left_seconds is not None:
            parts.append(f"about {duration(event.left_seconds)} left")
        return f" ({', '.join(parts)})"


def summary_data(summary: Summary, status: BatchStatus) -> dict[str, Any]:
    """A summary as JSON data; of the steps, ``done`` are done now and ``cached`` were done before."""
    return {
        "batch": summary.batch,
        "done": summary.done,
        "already": summary.already,
        "left": summary.left,
        "baseline": summary.baseline,
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
    said = [f"{text}."]
    before = [step.ended_unix_ns for step in status.steps if step.run_id and step.state == "cached"]
    if summary.runs:
        said.append(f"Measured now: {len(summary.runs)} runs, slm results list --batch {summary.batch}")
    elif before and not summary.failed:
        newest = _ago(max(one or 0 for one in before) or None) or "at some time"
        said.append(
            f"Nothing was measured now; the newest run was made {newest}. Measure again with --again."
        )
    if told := _verdicts(status):
        said.append(told)
    if summary.baseline:
        said.append(f"The {summary.baseline} runs are the baseline from now on: slm results regress --help")
    said.append(f"Results: slm results list --recipe {status.name}; files: {workspace.batch(status.name)}")
    for sentence in said:
        print_folded(sentence, width=line_width(), indent="  ")


def _verdicts(status: BatchStatus) -> str:
    """How many artifacts got which verdict; damaged ones by name, since everything else was made of them."""
    words = Counter(step.verdict for step in status.steps if step.verdict)
    if not words:
        return ""
    damaged = [step.name.removeprefix("convert ") for step in status.steps if step.verdict == "damaged"]
    which = f"; damaged: {'; '.join(damaged)}" if damaged else ""
    return f"Verdicts on artifacts: {', '.join(f'{count} {word}' for word, count in words.items())}{which}"


def print_junit(status: BatchStatus) -> None:
    """A batch as JUnit's XML: a case per step; one that failed fails, one that did not run is skipped.

    So is one that measures and was done before: what measured nothing has not passed.
    """
    from xml.etree import ElementTree

    from toolkit.cli.junit import print_suite, xml_text
    from toolkit.recipes.step_kinds import measuring_kinds
    from toolkit.report.batch import STATE_WORDS

    measuring = measuring_kinds()
    suite = ElementTree.Element("testsuite", name=f"slm recipe {status.name}")
    for step in status.steps:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{status.name}.{step.kind}", name=xml_text(step.name)
        )
        before = _done_before(step) if step.state == "cached" else None
        # What it took then is no time of this batch.
        if step.seconds is not None and not before:
            case.set("time", f"{step.seconds:.3f}")
        if step.state == "failed":
            ElementTree.SubElement(case, "failure", message=xml_text(step.detail or "failed"))
        elif step.state not in ("done", "cached"):
            ElementTree.SubElement(case, "skipped", message=STATE_WORDS[step.state])
        elif before and step.kind in measuring:
            ElementTree.SubElement(case, "skipped", message=before)
        said = (before, step.run_id and f"run {step.run_id}", step.output, step.log)
        told = [words for words in said if words]
        if told:
            ElementTree.SubElement(case, "system-out").text = xml_text("\n".join(told))
    print_suite(suite)


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


def _done_before(step: BatchStep) -> str:
    """That it was, and how long ago where that is known."""
    return ", ".join(words for words in ("done before", _ago(step.ended_unix_ns)) if words)


def _ago(unix_ns: int | None) -> str:
    """How long ago; empty where nobody knows."""
    if unix_ns is None:
        return ""
    return f"{duration(max(0, time.time_ns() - unix_ns) / 1e9)} ago"


def _takes(step: Step) -> tuple[str, str, str]:
    estimate = step.estimate
    ram = _size(estimate.ram_bytes) if estimate.ram_bytes else ""
    return duration(estimate.seconds), _size(estimate.disk_bytes) if estimate.disk_bytes else "", ram


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _size(size_bytes: float) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.0f} MB"
