"""Running a plan: what is ready is started, what failed is tried again, and everything is written down."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Literal

from toolkit.errors import StepsFailed, UsageError
from toolkit.recipes.executors.executor import Ended, Executor, Task
from toolkit.recipes.freshness import Freshness
from toolkit.recipes.plan import Plan
from toolkit.recipes.steps import Beginning, Stage, Step
from toolkit.recipes.workspace import Attempt, StepRecord, Workspace

_WAIT_S = 1.0


@dataclass(frozen=True)
class Choice:
    """What to run of a plan.

    Attributes:
        only: steps whose kind or title has one of these words (or matches them, with * and ?), and what they
            need; all when empty.
        limit: at most this many steps are run now.
        keep_going: a failed step keeps only those from running that need it.
    """

    only: Sequence[str] = ()
    limit: int | None = None
    keep_going: bool = False

    def of(self, plan: Plan) -> Plan:
        """What ``only`` leaves of a plan.

        Raises:
            UsageError: one of its words means no step.
        """
        for word in self.only:
            if not any(_is_meant(step, word) for step in plan.steps):
                kinds = ", ".join(dict.fromkeys(step.kind for step in plan.steps))
                raise UsageError(
                    f"--only {word}: no step is of this kind or has this text in its title",
                    subject=f"recipe {plan.recipe.recipe.name}",
                    next_step=f"Its kinds are {kinds}; slm recipe plan shows the titles.",
                )
        return Plan(plan.recipe, tuple(_chosen(plan.steps, self.only)))


@dataclass(frozen=True)
class Summary:
    """What became of a batch.

    Attributes:
        batch: names this run of the recipe; its runs carry it.
        done: steps that were run now.
        already: steps whose result was there before.
        runs: ids of the runs that were made now.
        failed: title and error of each step that failed.
        left: steps that were not run, because something they need failed, or because of the choice.
        baseline: runs that have become the recipe's baseline.
    """

    batch: str = ""
    done: int = 0
    already: int = 0
    runs: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    left: int = 0
    baseline: int = 0
    exit_code: int = 0


What = Literal["started", "done", "found", "failed", "again"]


@dataclass(frozen=True)
class Event:
    """What happened to a step, and how far the batch is.

    Attributes:
        error: of a step that failed or is tried again; empty otherwise.
        ended: steps whose result is there, or that failed.
        total: steps that were chosen.
        left_seconds: what the others will about take; None where nobody can tell.
    """

    what: What
    step: Step
    error: str
    ended: int
    total: int
    left_seconds: float | None


Listener = Callable[[Event], None]


@dataclass
class Batch:
    """One run of a recipe.

    Its plan may be replaced between two calls of :meth:`run`, when sources have turned out to be what they
    are: limit, failures and figures are those of the whole.
    """

    plan: Plan
    workspace: Workspace
    executor: Executor
    choice: Choice
    listener: Listener
    id: str = ""
    freshness: Freshness = field(default_factory=Freshness)
    _waiting: list[Step] = field(default_factory=list)
    _running: dict[str, Step] = field(default_factory=dict)
    _attempts: dict[str, Attempt] = field(default_factory=dict)
    _done: set[str] = field(default_factory=set)
    _done_now: set[str] = field(default_factory=set)
    _failed: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    _tries: dict[str, int] = field(default_factory=dict)
    _started: int = 0
    _finished: int = 0
    _found: int = 0
    _runs: list[str] = field(default_factory=list)
    _total: int = 0
    _already: int = 0
    # Of the steps that were done now, seconds.
    _estimated: float = 0.0
    _measured: float = 0.0

    def run(self, stage: Stage | None = None) -> Summary:
        """Run what is chosen and not done.

        Args:
            stage: of this stage alone.

        Returns:
            What became of the batch so far; ``failed`` is empty when all went well.
        """
        chosen = self.choice.of(self.plan).steps
        done = {step.key for step in self.plan.steps if step.state == "done"}
        self._total = len(chosen)
        self._already = sum(step.key in done - self._done_now for step in chosen)
        self._done = done | self._done_now
        self._waiting = [
            step
            for step in chosen
            if step.state == "to do"
            and step.key not in self._done | self._failed.keys()
            and stage in (None, step.work.stage)
        ]
        try:
            while self._start_ready() or self._running:
                for ended in self.executor.wait(_WAIT_S):
                    self._end(ended)
        except KeyboardInterrupt:
            self.executor.interrupt()
            for step in self._running.values():
                step.work.remove_leftovers(step.key, self.workspace)
            raise
        return Summary(
            batch=self.id,
            done=self._finished,
            already=self._already + self._found,
            runs=tuple(self._runs),
            failed=tuple((title, error) for title, error, _ in self._failed.values()),
            left=self._total - self._ended_steps(),
            exit_code=StepsFailed.exit_code if self._failed else 0,
        )

    def _start_ready(self) -> int:
        """Start what can be started; returns how many steps that were."""
        started = 0
        for step in list(self._waiting):
            if self._stopped():
                break
            if self._ready(step) and self._start(step):
                self._waiting.remove(step)
                started += 1
        return started

    def _stopped(self) -> bool:
        limit = self.choice.limit
        return (limit is not None and self._started >= limit) or (
            bool(self._failed) and not self.choice.keep_going
        )

    def _ready(self, step: Step) -> bool:
        if step.work.stage == "summaries" and self.choice.keep_going:
            # A summary shows what failed as well; it waits until nothing it shows can change any more.
            pending = {*self._running, *(one.key for one in self._waiting if self._possible(one))}
            return not pending.intersection(step.needs)
        return all(key in self._done for key in step.needs)

    def _possible(self, step: Step) -> bool:
        return not any(key in self._failed for key in step.needs)

    def _start(self, step: Step) -> bool:
        record = self.workspace.record(step.key)
        attempts = list(record.attempts) if record else []
        earlier = self._going_on(attempts, step)
        # A killed attempt goes on under its number, so that its run id stays the same.
        killed = earlier[-1] if earlier and earlier[-1].outcome == "running" else None
        number = killed.number if killed else attempts[-1].number + 1 if attempts else 1
        if not self.executor.has_room(step.resources):
            return False
        recipe = self.plan.recipe.recipe
        work = step.work.begun(
            Beginning(
                key=step.key,
                needs=step.needs,
                first=earlier[0].number if earlier else number,
                number=number,
                recipe=recipe.name,
                batch=self.id,
                tags=tuple(recipe.tag),
                workspace=self.workspace,
            )
        )
        task = Task(step.key, step.title, work, step.resources, self.workspace.log(step.key))
        attempt = Attempt(
            number=number,
            outcome="running",
            started_unix_ns=killed.started_unix_ns if killed else time.time_ns(),
            run_id=work.run_id,
            host=platform.node(),
            batch=self.id,
        )
        # Written before the start: whatever happens then, the run's id is known.
        self.workspace.write_record(
            StepRecord(
                key=step.key,
                kind=step.kind,
                title=step.title,
                attempts=[*(one for one in attempts if one.number != number), attempt],
            )
        )
        self.executor.start(task)
        self._running[step.key], self._attempts[step.key] = step, attempt
        self._tries[step.key] = self._tries.get(step.key, 0) + 1
        self._started += 1
        self._tell("started", step)
        return True

    def _end(self, ended: Ended) -> None:
        step = self._running.pop(ended.key)
        answer = ended.answer
        if answer.outcome != "done":
            step.work.remove_leftovers(step.key, self.workspace)
            # Here, not in its process: that one may never have begun, or been killed before its first word.
            self.workspace.add_to_log(step.key, f"error: {answer.error}")
        found = answer.result is not None and answer.result.get("found", False)
        attempt = self._attempts.pop(step.key)
        record = self.workspace.record(step.key)
        # Another recipe may have begun the same step meanwhile: its attempts are its own.
        others = [one for one in (record.attempts if record else []) if one.number != attempt.number]
        started = answer.started_unix_ns or attempt.started_unix_ns
        if found:
            earlier = self._going_on([one for one in others if one.number < attempt.number], step)
            started = min(one.started_unix_ns for one in (*earlier, attempt))
        last = attempt.model_copy(
            update={
                "outcome": "done" if answer.outcome == "done" else "failed",
                "started_unix_ns": started,
                "ended_unix_ns": time.time_ns(),
                "error": answer.error,
                "found": found,
            }
        )
        result = None
        if answer.result is not None:
            result = {**answer.result, "peak_bytes": ended.peak_bytes}
        attempts = sorted([*others, last], key=lambda one: one.number)
        self.workspace.write_record(
            StepRecord(key=step.key, kind=step.kind, title=step.title, attempts=attempts, result=result)
        )
        if answer.outcome == "done":
            self._done.add(step.key)
            self._done_now.add(step.key)
            if found:
                self._found += 1
            else:
                self._finished += 1
                self._runs += [last.run_id] if last.run_id else []
                self._estimated += step.estimate.seconds
                self._measured += last.seconds or 0.0
            self._tell("found" if found else "done", step)
        elif answer.again and self._tries[step.key] <= self.plan.recipe.recipe.limits.retries:
            self._waiting.insert(0, step)
            self._started -= 1
            self._tell("again", step, answer.error or "")
        else:
            self._failed[step.key] = (step.title, answer.error or "", answer.exit_code)
            self._tell("failed", step, answer.error or "")

    def _going_on(self, attempts: Sequence[Attempt], step: Step) -> list[Attempt]:
        """The last attempts whose results may be taken: what is measured anew must not be found."""
        going_on = takewhile(
            lambda one: self.freshness.goes_on(one, step.work) and not self._is_anothers(one),
            reversed(attempts),
        )
        return list(going_on)[::-1]

    def _is_anothers(self, attempt: Attempt) -> bool:
        """Whether another recipe's batch makes it at this moment."""
        return attempt.outcome == "running" and attempt.batch in self.workspace.running_batches()

    def _tell(
        self, what: Literal["started", "done", "found", "failed", "again"], step: Step, error: str = ""
    ) -> None:
        self.listener(Event(what, step, error, self._ended_steps(), self._total, self._left_seconds()))

    def _ended_steps(self) -> int:
        return self._already + self._found + self._finished + len(self._failed)

    def _left_seconds(self) -> float | None:
        """Estimates of the steps that are left, by what those that were done have taken of theirs."""
        possible = [step for step in self._waiting if self._possible(step)]
        estimated = sum(step.estimate.seconds for step in (*possible, *self._running.values()))
        if not estimated or not self._estimated:
            return None
        return estimated * self._measured / self._estimated / max(1, len(self._running))


def _chosen(steps: Sequence[Step], words: Sequence[str]) -> Iterator[Step]:
    if not words:
        yield from steps
        return
    wanted = {step.key for step in steps if any(_is_meant(step, word) for word in words)}
    by_key = {step.key: step for step in steps}
    pending = list(wanted)
    while pending:
        needs = [key for key in by_key[pending.pop()].needs if key not in wanted]
        wanted.update(needs)
        pending += needs
    yield from (step for step in steps if step.key in wanted)


def _is_meant(step: Step, word: str) -> bool:
    title = step.title.lower()
    return word.lower() in (step.kind, step.key) or word.lower() in title or fnmatchcase(title, word.lower())
