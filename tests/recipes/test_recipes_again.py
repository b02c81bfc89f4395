"""Done is not measured: what was done before, what is done now, and when it is measured again."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from measured_runs import add_measured
from recipe_process import SlmRecipe
from rolling import KIND, AtOnce, RollWork

from toolkit.errors import ArtifactCorrupt, RecipeError, UsageError
from toolkit.profiling.description import Origin
from toolkit.profiling.request import ProfileRequest
from toolkit.recipes.baseline import begin_baseline
from toolkit.recipes.batch import Choice, Summary
from toolkit.recipes.execution import run_recipe
from toolkit.recipes.kinds.profile import ProfileWork
from toolkit.recipes.run_ids import run_id
from toolkit.recipes.status import batch_status
from toolkit.recipes.step_kinds import STEP_KINDS
from toolkit.recipes.steps import Beginning
from toolkit.recipes.validation import load_recipe
from toolkit.recipes.workspace import Attempt, BatchFile, StepRecord, Workspace
from toolkit.settings import Settings
from toolkit.store import open_store

RECIPE = """schema: slm-recipe/1
name: dice
convert: {model: random:llama-tiny}
"""
NIGHTLY = "schedule: {fresh: 20h}\n"
HOUR_NS = 3_600_000_000_000


@dataclasses.dataclass
class Dice:
    """Runs the recipe's dice alone."""

    folder: Path
    settings: Settings
    workspace: Workspace
    text: str = RECIPE

    def run(self, again: tuple[str, ...] = (), limit: int | None = None) -> Summary:
        path = self.folder / "recipe.yaml"
        path.write_text(self.text)
        return run_recipe(
            load_recipe(path),
            self.workspace,
            self.settings,
            lambda plan: AtOnce(self.workspace, self.settings),
            choice=Choice(only=("roll",), limit=limit),
            listener=lambda event: None,
            again=again,
        )

    def states(self) -> list[str]:
        steps = batch_status("dice", self.workspace).steps
        return [step.state for step in steps if step.kind == "roll"]

    def rolls(self) -> list[int]:
        results = [record.result for record in self.workspace.records() if record.kind == "roll"]
        return sorted(result["roll"] for result in results if result is not None)

    def age(self, ns: int) -> None:
        """Make everything that was done this much older."""
        for record in list(self.workspace.records()):
            attempts = [
                one.model_copy(update={"ended_unix_ns": (one.ended_unix_ns or 0) - ns})
                for one in record.attempts
            ]
            self.workspace.write_record(record.model_copy(update={"attempts": attempts}))


@pytest.fixture
def dice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dice:
    monkeypatch.setitem(STEP_KINDS._entries, "roll", KIND)
    settings = dataclasses.replace(
        Settings.from_environment(), data_dir=tmp_path, store_url=f"sqlite:///{tmp_path / 'results.db'}"
    )
    return Dice(tmp_path, settings, Workspace(tmp_path / "one"))


def test_done_now_and_done_before_are_two_things(dice: Dice) -> None:
    first = dice.run()
    assert (first.done, first.already, dice.states()) == (2, 0, ["done", "done"])
    second = dice.run()
    assert (second.done, second.already, dice.states()) == (0, 2, ["cached", "cached"])
    assert first.batch != second.batch == batch_status("dice", dice.workspace).batch


def test_again_measures_what_is_done_and_keeps_every_attempt(dice: Dice) -> None:
    dice.run()
    before = dice.rolls()
    again = dice.run(again=("roll",))
    assert (again.done, again.already, dice.states()) == (2, 0, ["done", "done"])
    assert min(dice.rolls()) > max(before)
    records = [record for record in dice.workspace.records() if record.kind == "roll"]
    assert [[one.outcome for one in record.attempts] for record in records] == [["done", "done"]] * 2
    assert dice.run().done == 0, "it is asked for each time"


def test_what_is_to_be_measured_again_is_not_shown_as_done_meanwhile(dice: Dice) -> None:
    dice.run()
    assert dice.run(again=("roll",), limit=1).left == 1
    assert dice.states() == ["done", "waiting"]


def test_a_schedule_measures_again_what_has_grown_old(dice: Dice) -> None:
    dice.text += NIGHTLY
    dice.run()
    dice.age(19 * HOUR_NS)
    assert (dice.run().done, dice.states()) == (0, ["cached", "cached"])
    dice.age(2 * HOUR_NS)
    assert (dice.run().done, dice.states()) == (2, ["done", "done"])
    assert dice.run().done == 0
    dice.text = RECIPE
    dice.age(1000 * HOUR_NS)
    assert dice.run().done == 0, "without a schedule for ever"


def test_a_measurement_of_the_future_is_none(dice: Dice) -> None:
    """A clock that was set back: nobody knows how old it is."""
    dice.text += NIGHTLY
    dice.run()
    dice.age(-HOUR_NS)
    assert dice.run().done == 2


def test_a_failure_of_an_earlier_batch_is_not_todays(dice: Dice) -> None:
    lost = dice.folder / "white-lost"
    lost.touch()
    assert dice.run().failed and dice.states() == ["done", "failed"]
    lost.unlink()
    dice.run(limit=1, again=("roll",))
    assert dice.states() == ["done", "waiting"]
    assert dice.run().done == 1
    assert dice.states() == ["cached", "done"]


def test_a_batch_that_stopped_in_the_middle_of_measuring_again_goes_on(dice: Dice) -> None:
    dice.run()
    (record, *_) = [one for one in dice.workspace.records() if one.kind == "roll"]
    running = record.last.model_copy(update={"number": 2, "outcome": "running", "batch": "killed"})
    attempts = [*record.attempts, running]
    dice.workspace.write_record(record.model_copy(update={"attempts": attempts, "result": None}))
    resumed = dice.run()
    assert (resumed.done, resumed.already) == (1, 1)
    done = dice.workspace.record(record.key)
    assert done is not None and [one.number for one in done.attempts] == [1, 2]


def killed(dice: Dice, hours_ago: float) -> None:
    """Every die's newest attempt was killed that long ago, before anybody knew what it rolled."""
    began = time.time_ns() - round(hours_ago * HOUR_NS)
    for record in list(dice.workspace.records()):
        number = record.last.number + 1
        running = record.last.model_copy(
            update={"number": number, "outcome": "running", "started_unix_ns": began, "ended_unix_ns": None}
        )
        attempts = [*record.attempts, running]
        dice.workspace.write_record(record.model_copy(update={"attempts": attempts, "result": None}))


@pytest.mark.parametrize(
    ("text", "again", "hours_ago", "numbers"),
    [
        (RECIPE, (), 1000, (2, 2)),
        (RECIPE, ("roll",), 1, (3, 3)),
        (RECIPE + NIGHTLY, (), 1, (2, 2)),
        (RECIPE + NIGHTLY, (), 21, (3, 3)),
        (RECIPE + NIGHTLY, (), -1, (3, 3)),
        (RECIPE + NIGHTLY, ("roll",), 1, (3, 3)),
    ],
)
def test_a_killed_attempt_goes_on_only_while_its_measurement_would_count(
    dice: Dice,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    again: tuple[str, ...],
    hours_ago: float,
    numbers: tuple[int, int],
) -> None:
    begun: list[tuple[int, int]] = []

    def begin(work: RollWork, beginning: Beginning) -> RollWork:
        begun.append((beginning.first, beginning.number))
        return work

    dice.text = text
    dice.run()
    killed(dice, hours_ago)
    monkeypatch.setattr(RollWork, "begun", begin)
    dice.run(again=again)
    assert begun == [numbers] * 2


def test_what_was_found_is_as_old_as_the_attempt_that_made_it(
    dice: Dice, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice.text += NIGHTLY
    dice.run()
    killed(dice, 19)
    with monkeypatch.context() as patch:
        patch.setattr(RollWork, "run", lambda *_: {"roll": 1, "found": True})
        found = dice.run()
    assert (found.done, found.already, dice.states()) == (0, 2, ["cached", "cached"])
    assert dice.run().done == 0
    for record in list(dice.workspace.records()):
        older = record.last.model_copy(update={"started_unix_ns": record.last.started_unix_ns - 2 * HOUR_NS})
        dice.workspace.write_record(record.model_copy(update={"attempts": [*record.attempts[:-1], older]}))
    assert (dice.run().done, dice.states()) == (2, ["done", "done"])


def test_what_another_recipe_measures_at_this_moment_is_its_own(dice: Dice) -> None:
    dice.run()
    other = dice.workspace.batch_file("dice")
    assert other is not None
    dice.workspace.write_batch("other", other.model_copy(update={"id": "others"}))
    for record in list(dice.workspace.records()):
        running = record.last.model_copy(update={"number": 2, "outcome": "running", "batch": "others"})
        dice.workspace.write_record(record.model_copy(update={"attempts": [*record.attempts, running]}))
    with dice.workspace.batch_lock("other"):
        assert dice.run().done == 2
    for record in dice.workspace.records():
        assert [(one.number, one.outcome) for one in record.attempts] == [
            (1, "done"), (2, "running"), (3, "done"),
        ]  # fmt: skip


def test_a_copy_of_a_workspace_is_another_one(tmp_path: Path) -> None:
    one = Workspace(tmp_path / "one")
    identity = one.identity()
    shutil.copytree(one.root, tmp_path / "copy")
    copy = Workspace(tmp_path / "copy").identity()
    assert copy and copy != identity and Workspace(tmp_path / "copy").identity() == copy
    one.root.rename(tmp_path / "moved")
    assert Workspace(tmp_path / "moved").identity() == identity
    before = Workspace(tmp_path / "before")
    before.root.mkdir()
    (before.root / "identity").write_text("0123456789abcdef")
    assert before.identity() == before.identity() == "0123456789abcdef"


def test_a_damaged_artifact_of_the_workspace_is_deleted_not_converted_by_hand(
    dice: Dice, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = dice.workspace.artifact("key")

    def refuse(*_: object) -> None:
        raise ArtifactCorrupt("is damaged", subject=str(artifact), next_step="slm convert")

    monkeypatch.setattr(RollWork, "run", refuse)
    _, error = dice.run().failed[0]
    assert f"next: Delete {artifact}, and run the recipe again" in error and "slm convert" not in error


@pytest.mark.parametrize(("outcomes", "tagged"), [("done done", 2), ("done failed", 0), ("done", 0)])
def test_half_a_batch_is_no_baseline(outcomes: str, tagged: int, dice: Dice) -> None:
    (dice.folder / "recipe.yaml").write_text(RECIPE + "baseline: main\n")
    recipe = load_recipe(dice.folder / "recipe.yaml").recipe
    steps = [{"key": str(n), "kind": "profile", "title": str(n), "state": "to do"} for n in range(2)]
    batch = BatchFile(
        recipe="r", recipe_sha256="", executor="local", started_unix_ns=1, pid=1, id="b", steps=steps
    )
    dice.workspace.write_batch("dice", batch)
    with open_store(dice.settings.store_url) as store:
        for n in range(2):
            add_measured(store, f"run{n}", recipe="dice")
    for n, outcome in enumerate(outcomes.split()):
        # Killed when its run was stored: a second attempt has found it.
        last = Attempt(number=2, outcome=outcome, started_unix_ns=2, ended_unix_ns=3, run_id="x", batch="b")
        record = StepRecord(
            key=str(n), kind="profile", title="", attempts=[last], result={"run_id": f"run{n}"}
        )
        dice.workspace.write_record(record)
    assert begin_baseline(recipe, dice.workspace, dice.settings) == tagged
    assert begin_baseline(recipe, dice.workspace, dice.settings) == 0
    with open_store(dice.settings.store_url) as store:
        assert sorted(store.run_ids("tag = 'main'")) == ["run0", "run1"][:tagged]


def beginning(workspace: Workspace, first: int, number: int) -> Beginning:
    return Beginning("k", (), first, number, "nightly", "b1", ("main",), workspace)


def test_a_run_of_before_is_never_taken_for_one_of_now(tmp_path: Path) -> None:
    work = ProfileWork(artifact="a", device="local", request=ProfileRequest(), timeout_s=None, alike=())
    one, other = Workspace(tmp_path / "one"), Workspace(tmp_path / "other")
    begun = work.begun(beginning(one, 3, 4))
    assert begun.run_ids == (run_id("k", 3, one.identity()), run_id("k", 4, one.identity()))
    assert begun.run_id == begun.run_ids[-1] and begun.origin == Origin(
        recipe="nightly", batch="b1", tags=("main",)
    )
    assert set(begun.run_ids).isdisjoint(work.begun(beginning(other, 3, 4)).run_ids), "another workspace"
    assert Workspace(tmp_path / "one").identity() == one.identity()
    used = Workspace(tmp_path / "used")
    (used.root / "steps").mkdir(parents=True)
    (used.root / "steps" / "k.json").touch()
    assert work.begun(beginning(used, 1, 1)).run_ids == (run_id("k", 1),), "begun by an earlier toolkit"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedule: {fresh: soon}", "schedule.fresh: 'soon' should be a time like 20h, 90m or 2d"),
        ("schedule: {fresh: 20}", "schedule.fresh: 20 should be text"),
        ("schedule: {frehs: 20h}", "unknown field 'frehs'"),
        ("tag: 'two words'", "should be a tag"),
        ("tag: []", "is empty"),
        ("baseline: 'two words'", "should be a tag"),
    ],
)
def test_what_a_recipe_cannot_mean(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "recipe.yaml").write_text(f"{RECIPE}{text}\n")
    with pytest.raises(RecipeError, match=said.replace("[", r"\[")):
        load_recipe(tmp_path / "recipe.yaml")


def junit_cases(slm_recipe: SlmRecipe) -> dict[str, list[ElementTree.Element]]:
    """The cases of the batch's JUnit, as a CI system counts them."""
    cases: dict[str, list[ElementTree.Element]] = {"passed": [], "skipped": [], "failure": []}
    suite = ElementTree.fromstring(slm_recipe.run("status", "dice", "--junit").stdout.split("\n", 1)[1])
    for case in suite:
        ended = [one.tag for one in case if one.tag in cases]
        cases[ended[0] if ended else "passed"].append(case)
    assert [suite.get("skipped"), suite.get("failures")] == [
        str(len(cases[tag])) for tag in ("skipped", "failure")
    ]
    return cases


def test_the_command_measures_again_and_its_runs_say_what_made_them(slm_recipe: SlmRecipe) -> None:
    recipe = slm_recipe.write(
        RECIPE
        + "profile: {preset: smoke, device: local}\nreport: [report.md, charts.png]\ntag: [main, nightly]\n"
        + "baseline: base\n"
    )
    first = slm_recipe.json("run", recipe)
    assert {step["state"] for step in first["steps"]} == {"done"} and first["baseline"] == 1
    assert list(Path(first["steps"][-1]["output"]).glob("*.png"))
    assert not junit_cases(slm_recipe).get("skipped")
    nothing = slm_recipe.run("run", recipe)
    assert "0 steps done now, 4 done before" in nothing.stdout
    assert "Nothing was measured now" in nothing.stdout and "--again" in nothing.stdout
    # What measured nothing has not passed; an artifact or a report that is there has.
    cases = junit_cases(slm_recipe)
    assert [case.get("classname") for case in cases["skipped"]] == ["dice.profile"]
    (reason,) = cases["skipped"][0].findall("skipped")
    assert (reason.get("message") or "").startswith("done before, ") and " ago" in (
        reason.get("message") or ""
    )
    passed = ["dice.convert", "dice.report", "dice.report"]
    assert [case.get("classname") for case in cases["passed"]] == passed
    assert all("done before" in case.findtext("system-out", "") for case in cases["passed"])
    assert not any(case.get("time") for case in cases["passed"] + cases["skipped"])
    planned = slm_recipe.json("plan", "--again", recipe)["steps"]
    assert [step["state"] for step in planned] == ["done", "to do", "to do", "to do"], (
        "reports show the new run"
    )
    assert planned[0]["done_unix_ns"] < time.time_ns() and planned[1]["done_unix_ns"] is None
    second = slm_recipe.json("run", recipe, "--again", "profile")
    assert [step["state"] for step in second["steps"]] == ["cached", "done", "done", "done"]
    assert second["baseline"] == 0
    assert "dice.profile" in [case.get("classname") for case in junit_cases(slm_recipe)["passed"]]
    with open_store(slm_recipe.settings.store_url) as store:
        assert store.run_ids(f"recipe = 'dice' and batch = '{second['batch']}'") == second["runs"]
        assert store.run_ids("tag = 'main' and tag = 'nightly'") == second["runs"] + first["runs"]
        assert store.run_ids("tag = 'base'") == first["runs"], "the first whole batch's alone"
        assert store.run_ids("tag = 'recipe:dice'") == second["runs"], "what the report shows"
    elsewhere = slm_recipe.json("run", recipe, "--workspace", slm_recipe.folder / "new")
    assert {step["state"] for step in elsewhere["steps"]} == {"done"}
    assert elsewhere["runs"] and set(elsewhere["runs"]).isdisjoint(first["runs"] + second["runs"])
    assert len(slm_recipe.run_ids()) == 3
    refused = slm_recipe.run("run", recipe, "--again", "convert")
    assert refused.returncode == UsageError.exit_code and "one of profile" in refused.stderr
    shown = slm_recipe.run("status", "dice").stdout
    assert "done before" in shown and "done now" in shown
    assert json.loads((slm_recipe.workspace / "batches" / "dice" / "batch.json").read_text())["id"]
