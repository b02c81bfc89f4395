"""The local pool: budgets, deaths and time limits of real child processes."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from recipe_process import wait_until

from toolkit.recipes.batch import Batch, Choice, Event
from toolkit.recipes.executors.child import Answer, answered
from toolkit.recipes.executors.executor import Ended, Task
from toolkit.recipes.executors.local_pool import LocalPool
from toolkit.recipes.executors.memory import group_available_bytes
from toolkit.recipes.plan import Plan, make_plan
from toolkit.recipes.steps import Resources, Step
from toolkit.recipes.validation import load_recipe
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

RECIPE = """schema: slm-recipe/1
name: pool
convert:
  model: {model}
  quant: {quant}
limits: {limits}
"""


# One for all tests here: its warm process imports torch once.
@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    data = tmp_path_factory.mktemp("data")
    return dataclasses.replace(
        Settings.from_environment(), data_dir=data, store_url=f"sqlite:///{data / 'results.db'}"
    )


@pytest.fixture(scope="module")
def workspace(settings: Settings) -> Workspace:
    return Workspace.default(settings)


@pytest.fixture(scope="module")
def pool(workspace: Workspace, settings: Settings) -> Iterator[LocalPool]:
    opened = LocalPool(workspace, settings, cpus=2)
    yield opened
    opened.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("named", [False, True])
def test_what_the_system_refuses_a_step_is_no_bug_and_names_the_place(
    workspace: Workspace, settings: Settings, code: int, named: bool
) -> None:
    place = str(workspace.root / "artifacts" / "x")
    error = OSError(code, os.strerror(code), place) if named else OSError(code, os.strerror(code))
    answer = answered({}, workspace, settings, error)
    assert answer.outcome == "failed" and answer.exit_code == 1 and answer.error is not None
    assert "bug" not in answer.error and os.strerror(code) in answer.error
    assert "\n  next: Make " in answer.error and str(workspace.root) in answer.error


def test_what_nobody_expects_of_the_system_is_a_bug(workspace: Workspace, settings: Settings) -> None:
    answer = answered({}, workspace, settings, OSError(errno.EDOM, "Numerical argument out of domain"))
    assert answer.exit_code == 70 and "bug" in str(answer.error)


def plan_of(
    folder: Path,
    settings: Settings,
    *,
    model: str = "random:llama-tiny",
    quant: str = "fp16",
    limits: str = "{}",
) -> Plan:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(model=model, quant=quant, limits=limits))
    return make_plan(load_recipe(path), Workspace.default(settings), settings)


def task_of(step: Step, workspace: Workspace) -> Task:
    return Task(step.key, step.title, step.work, step.resources, workspace.log(step.key))


def end_of(pool: LocalPool) -> Ended:
    (ended,) = wait_until(lambda: pool.wait(1.0))
    return ended


def child_of(pool: LocalPool) -> int:
    def pid() -> int | None:
        assert not pool.wait(0.05)
        return next((job.pid for job in pool._jobs.values()), None)

    return int(wait_until(pid))


def assert_nothing_left(made: Plan, workspace: Workspace) -> None:
    for step in made.steps:
        left = (workspace.root / "artifacts").glob(f"*{step.key}*")
        assert [path for path in left if not path.name.endswith(".lock")] == []


def run_batch(made: Plan, workspace: Workspace, pool: LocalPool, **choice: object) -> list[tuple[str, str]]:
    events: list[tuple[str, str]] = []
    Batch(
        made, workspace, pool, Choice(**choice), lambda event: events.append((event.what, event.error))
    ).run()  # type: ignore[arg-type]
    return events


def test_a_child_over_its_memory_budget_is_killed_and_leaves_nothing(
    tmp_path: Path, settings: Settings, workspace: Workspace, pool: LocalPool
) -> None:
    made = plan_of(tmp_path, settings, model="random:tinyllama-1.1b", limits="{memory_gb: 0.2}")
    events = run_batch(made, workspace, pool)
    assert [event for event, _ in events] == ["started", "failed"], "another attempt would need as much"
    assert "more than its budget of 0.20 GB" in events[1][1]
    assert "limits.memory_gb" in events[1][1]
    assert_nothing_left(made, workspace)


def test_a_step_that_cannot_fit_into_memory_is_not_begun(
    tmp_path: Path, settings: Settings, workspace: Workspace, pool: LocalPool
) -> None:
    made = plan_of(tmp_path, settings, limits="{memory_gb: 60000}")
    events = run_batch(made, workspace, pool)
    assert "needs about 60000.0 GB of memory" in events[-1][1]
    assert workspace.log(made.steps[0].key).read_text() == f"error: {events[-1][1]}\n"


def test_a_killed_child_is_tried_again_and_the_batch_ends_well(
    tmp_path: Path, settings: Settings, workspace: Workspace, pool: LocalPool
) -> None:
    (step,) = plan_of(tmp_path, settings, model="random:tinyllama-1.1b").steps
    pool.start(task_of(step, workspace))
    os.kill(child_of(pool), signal.SIGKILL)
    ended = end_of(pool)
    assert ended.answer.outcome == "failed" and ended.answer.again
    assert ended.answer.error is not None and "signal 9" in ended.answer.error
    (tiny,) = plan_of(tmp_path, settings).steps
    pool.start(task_of(tiny, workspace))
    assert end_of(pool).answer.outcome == "done"


def test_the_server_of_the_children_may_die_as_well(
    tmp_path: Path, settings: Settings, workspace: Workspace, pool: LocalPool
) -> None:
    (step,) = plan_of(tmp_path, settings, model="random:tinyllama-1.1b").steps
    pool.start(task_of(step, workspace))
    child = child_of(pool)
    assert pool._server is not None
    pool._server.process.kill()
    assert end_of(pool).answer.again
    wait_until(lambda: not _alive(child), 10)
    (tiny,) = plan_of(tmp_path, settings).steps
    pool.start(task_of(tiny, workspace))
    assert end_of(pool).answer.outcome == "done"


@pytest.mark.parametrize(("moment", "quant"), [("before the step", "8w"), ("while it imports torch", "fp32")])
def test_a_step_whose_process_never_began_has_a_log_that_says_why(
    tmp_path: Path, settings: Settings, workspace: Workspace, moment: str, quant: str
) -> None:
    made = plan_of(tmp_path, settings, limits="{retries: 0}", quant=quant)
    pool = LocalPool(workspace, settings, cpus=2)
    server = pool._start_server().process
    if moment == "before the step":
        server.kill()
        server.wait()
    failures: list[str] = []

    def listen(event: Event) -> None:
        server.kill()
        failures.extend([event.error] if event.what == "failed" else [])

    Batch(made, workspace, pool, Choice(), listen).run()
    pool.close()
    (failure,) = failures
    assert "the process that starts steps was killed by signal 9" in failure
    assert str(workspace.log("forkserver")) in failure and workspace.log("forkserver").is_file()
    assert workspace.log(made.steps[0].key).read_text().endswith(f"error: {failure}\n")


def test_a_step_over_its_time_is_killed_and_tried_as_often_as_allowed(
    tmp_path: Path, settings: Settings, workspace: Workspace, pool: LocalPool
) -> None:
    limits = "{timeout_minutes: 0.01, retries: 1}"
    made = plan_of(tmp_path, settings, model="random:tinyllama-1.1b", limits=limits)
    events = run_batch(made, workspace, pool)
    assert [event for event, _ in events] == ["started", "again", "started", "failed"]
    assert "took longer than" in events[-1][1]
    assert_nothing_left(made, workspace)


def test_an_error_that_repeats_itself_gets_one_attempt_and_its_own_log(
    tmp_path: Path, settings: Settings, workspace: Workspace, pool: LocalPool
) -> None:
    (tmp_path / "other.json").write_text('{"model_type": "nonsense"}')
    made = plan_of(tmp_path, settings, model="random:other.json", limits="{retries: 3}")
    events = run_batch(made, workspace, pool)
    assert [event for event, _ in events] == ["started", "failed"]
    assert "error: " in workspace.log(made.steps[0].key).read_text()
    record = workspace.record(made.steps[0].key)
    assert record is not None and record.last.outcome == "failed" and record.last.error == events[1][1]


def test_keep_going_leaves_out_only_what_needs_the_failed_step(
    tmp_path: Path, settings: Settings, workspace: Workspace, pool: LocalPool
) -> None:
    (tmp_path / "other.json").write_text('{"model_type": "nonsense"}')
    models = "[random:other.json, random:llama-tiny]"
    stopped = run_batch(plan_of(tmp_path, settings, model=models, quant="8w"), workspace, pool, limit=1)
    assert [event for event, _ in stopped] == ["started", "failed"]
    made = plan_of(tmp_path, settings, model=models, quant="8w")
    went_on = run_batch(made, workspace, pool, keep_going=True)
    assert sorted(event for event, _ in went_on) == ["done", "failed", "started", "started"]


def test_what_is_measured_has_the_machine_alone(
    tmp_path: Path, settings: Settings, workspace: Workspace, pool: LocalPool
) -> None:
    (step,) = plan_of(tmp_path, settings, model="random:tinyllama-1.1b").steps
    assert pool.has_room(Resources(whole_host=True))
    pool.start(task_of(step, workspace))
    assert not pool.has_room(Resources(whole_host=True))
    assert pool.has_room(Resources(cpus=0, device="R5CT1234567")), "a phone is no part of this machine"
    assert not pool.has_room(Resources(cpus=2))
    assert not pool.has_room(Resources(memory_bytes=10**15))
    os.kill(child_of(pool), signal.SIGKILL)
    end_of(pool)


def test_a_batch_that_is_interrupted_ends_its_children(
    tmp_path: Path, settings: Settings, workspace: Workspace
) -> None:
    made = plan_of(tmp_path, settings, model="random:tinyllama-1.1b", quant="8w")
    pool = LocalPool(workspace, settings, cpus=2)
    pool.start(task_of(made.steps[0], workspace))
    pid = child_of(pool)
    pool.interrupt()
    assert not _alive(pid)
    # A batch tidies up behind children that had to be killed.
    made.steps[0].work.remove_leftovers(made.steps[0].key, workspace)
    assert_nothing_left(made, workspace)


def test_an_answer_survives_its_way_through_a_file() -> None:
    answer = Answer(outcome="failed", error="caf\u00e9", exit_code=3, again=True)
    assert Answer.model_validate_json(answer.model_dump_json()) == answer


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def test_memory_of_files_that_were_read_is_free(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("4000000000\n")
    (tmp_path / "memory.current").write_text("3900000000\n")
    assert group_available_bytes(tmp_path) == 100_000_000
    (tmp_path / "memory.stat").write_text("anon 500000000\nactive_file 200\ninactive_file 3200000000\n")
    assert group_available_bytes(tmp_path) == 3_300_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert group_available_bytes(tmp_path) is None, "no limit"
