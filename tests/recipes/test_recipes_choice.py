"""What of a recipe is run: words, a limit, failures and models that only a fetch makes known."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from pretending import Pretending, links

from toolkit.errors import UsageError
from toolkit.recipes import fingerprints
from toolkit.recipes.batch import Choice, Event, Summary
from toolkit.recipes.execution import run_recipe
from toolkit.recipes.schema import Model
from toolkit.recipes.status import batch_status
from toolkit.recipes.validation import load_recipe
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings

TWO = """schema: slm-recipe/1
name: two
convert: {model: [owner/one, owner/two]}
profile: {device: local, rounds: 2}
report: [report.md, report.html]
"""
TOTAL = 2 + 2 + 4 + 2


@dataclasses.dataclass
class Asked:
    """Runs a recipe in an empty workspace."""

    folder: Path

    def __post_init__(self) -> None:
        self.settings = dataclasses.replace(
            Settings.from_environment(),
            data_dir=self.folder,
            store_url=f"sqlite:///{self.folder / 'results.db'}",
        )
        self.workspace = Workspace(self.folder / "recipes")
        self.executor = Pretending(self.workspace)
        self.events: list[Event] = []

    def run(self, text: str, refetch: bool = False, **choice: Any) -> Summary:
        (self.folder / "recipe.yaml").write_text(text)
        return run_recipe(
            load_recipe(self.folder / "recipe.yaml"),
            self.workspace,
            self.settings,
            lambda plan: self.executor,
            choice=Choice(**choice),
            listener=self.events.append,
            refetch=refetch,
        )


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path)


@pytest.mark.parametrize(
    ("only", "kinds"),
    [
        ((), {"fetch": 2, "convert": 2, "profile": 4, "report": 2}),
        (("fetch",), {"fetch": 2}),
        (("convert",), {"fetch": 2, "convert": 2}),
        (("profile",), {"fetch": 2, "convert": 2, "profile": 4}),
        (("owner/two",), {"fetch": 1, "convert": 1, "profile": 2}),
        (("profile*two*round 2",), {"fetch": 1, "convert": 1, "profile": 1}),
        (("convert*one*", "fetch*two"), {"fetch": 2, "convert": 1}),
        (("report",), {"fetch": 2, "convert": 2, "profile": 4, "report": 2}),
    ],
)
def test_what_is_chosen_is_run_with_what_it_needs_also_before_models_are_fetched(
    asked: Asked, only: tuple[str, ...], kinds: dict[str, int]
) -> None:
    found = asked.run(TWO, only=only)
    started = [title.partition(" ")[0] for title in asked.executor.started]
    assert {kind: started.count(kind) for kind in dict.fromkeys(started)} == kinds
    assert (found.done, found.already, found.left) == (sum(kinds.values()), 0, 0)
    assert {event.total for event in asked.events} == {sum(kinds.values())}
    assert len(batch_status("two", asked.workspace).steps) == TOTAL


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_a_limit_holds_for_fetches_and_the_rest_together(asked: Asked, limit: int) -> None:
    found = asked.run(TWO, limit=limit)
    assert len(asked.executor.started) == limit
    assert (found.done, found.already, found.left) == (limit, 0, TOTAL - limit)


def test_a_failed_fetch_is_tried_once_and_stops_only_what_needs_it(asked: Asked) -> None:
    asked.executor = Pretending(asked.workspace, fails=lambda task: task.title == "fetch owner/one")
    found = asked.run(TWO, keep_going=True)
    assert asked.executor.started.count("fetch owner/one") == len(found.failed) == 1
    assert (found.done, found.left, found.exit_code) == (4, TOTAL - 5, 12)
    asked.executor.started.clear()
    stopped = asked.run(TWO)
    assert asked.executor.started == ["fetch owner/one"] and len(stopped.failed) == 1
    states = {step.name: step.state for step in batch_status("two", asked.workspace).steps}
    assert states["fetch owner/one"] == "failed" and states["fetch owner/two"] == "cached"


def test_a_word_that_means_no_step_is_refused_before_anything_is_done(asked: Asked) -> None:
    with pytest.raises(UsageError, match="--only convrt: no step"):
        asked.run(TWO, only=("fetch", "convrt"))
    assert asked.executor.started == []


def test_every_model_of_a_recipe_is_fetched_anew(asked: Asked) -> None:
    text = TWO.replace("{model: [owner/one, owner/two]}", "{model: owner/one, include: [{model: owner/two}]}")
    asked.run(text, only=("fetch",))
    asked.executor.started.clear()
    assert asked.run(text, only=("fetch",)).already == 2
    asked.run(text, refetch=True, only=("fetch",))
    assert asked.executor.started == ["fetch owner/one", "fetch owner/two"]


def test_models_that_turn_out_to_be_one_are_converted_once(asked: Asked) -> None:
    models = "[{id: owner/one}, {id: owner/one, revision: main}, owner/one]"
    text = TWO.replace("[owner/one, owner/two]", models)
    found = asked.run(text)
    kinds = [title.partition(" ")[0] for title in asked.executor.started]
    assert kinds.count("fetch") == 2 and kinds.count("convert") == 1 and kinds.count("profile") == 2
    assert (found.left, found.failed, len(links(asked.workspace, "two"))) == (0, (), 1)
    assert asked.workspace.source(fingerprints.lock_name(Model(id="owner/one", revision="main")))


def test_a_report_that_is_named_twice_is_written_once(asked: Asked) -> None:
    found = asked.run(TWO.replace("report.html", "./report.md"))
    assert asked.executor.started.count("report report.md") == 1 and found.left == 0
