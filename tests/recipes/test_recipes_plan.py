from __future__ import annotations

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from written_plans import written_plan

from toolkit.artifact import Artifact
from toolkit.devices.adb.parsers import AttachedDevice
from toolkit.devices.given_names import NamedDevice, give_name
from toolkit.devices.identity import Identity
from toolkit.errors import AdbServerFailed, RecipeInvalid, SourceError
from toolkit.models.catalogue.catalogue import family_text, shipped
from toolkit.recipes import fingerprints, planning
from toolkit.recipes.plan import Plan, make_plan
from toolkit.recipes.run_ids import run_id
from toolkit.recipes.step_estimates import ModelSize
from toolkit.recipes.validation import load_recipe
from toolkit.recipes.workspace import Attempt, SourceLock, StepRecord, Workspace
from toolkit.settings import Settings

RECIPE = """schema: slm-recipe/1
name: planned
convert:
  model: {model}
  quant: [8da4w, fp16]
profile: {{device: [local, virtual:2]}}
"""


def keys(made: Plan) -> set[str]:
    return {step.key for step in made.steps}


def test_steps_in_an_order_in_which_they_can_be_done(tmp_path: Path, settings: Settings) -> None:
    made = written_plan(tmp_path, settings, RECIPE.format(model="random:llama-tiny"))
    assert [step.kind for step in made.steps] == 2 * ["convert"] + 6 * ["profile"]
    seen: set[str] = set()
    for step in made.steps:
        assert seen.issuperset(step.needs)
        seen.add(step.key)
    assert len(seen) == 8
    assert {step.work.device for step in made.steps if step.kind == "profile"} == {
        "local",
        "virtual-1",
        "virtual-2",
    }


def test_a_device_is_planned_once_whatever_it_is_called(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usb, wifi = "R5CT1234567", "192.168.1.5:5555"
    give_name(NamedDevice(name="pixel7", identity=usb, serial=wifi), settings)
    give_name(NamedDevice(name="here1", identity="a hash", serial="local"), settings)
    give_name(NamedDevice(name="board1", identity="1000abcdef", serial="ssh:me@board"), settings)

    def planned(words: str, *attached: str) -> tuple[dict[str, str], set[str]]:
        phones = [AttachedDevice(serial, "device", {}) for serial in attached]
        monkeypatch.setattr(planning, "attached_phones", lambda settings: phones)
        path = tmp_path / "recipe.yaml"
        text = RECIPE.format(model="random:llama-tiny").partition("profile:")[0]
        sections = f"profile: {{device: {words}}}\nevaluate: {{tasks: arc_easy, device: {words}}}\n"
        path.write_text(text + sections)
        steps = make_plan(
            load_recipe(path), Workspace.default(settings), settings, phones=lambda settings: [usb]
        ).steps
        by_key = {step.key: str(step.resources.device) for step in steps if step.kind != "convert"}
        assert len(by_key) == sum(step.kind != "convert" for step in steps)
        return by_key, set(by_key.values())

    monkeypatch.setattr(
        planning, "identities", lambda names, settings: dict.fromkeys(names, Identity(hardware=usb))
    )
    once, devices = planned(f"[{usb}]", usb)
    assert (len(once), devices) == (4, {usb})
    assert planned(f"[phones, pixel7, {usb}, '{wifi}']", usb, wifi)[0] == once
    # The name is enough where nothing is attached, and another port is no other phone.
    assert planned("pixel7")[0] == once
    assert planned("'192.168.1.5:40112'", "192.168.1.5:40112")[0] == once
    assert planned(f"'{wifi}'")[1] == {wifi}, "nobody can be asked who it is"
    assert planned("[here1, local]")[1] == {"local"}
    assert planned("board1")[1] == {"ssh:me@board"}


def test_a_board_is_planned_whatever_is_wrong_with_adb(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(settings: Settings) -> list[AttachedDevice]:
        raise AdbServerFailed("cannot say which phones are attached")

    monkeypatch.setattr(planning, "attached_phones", fails)
    text = RECIPE.format(model="random:llama-tiny").partition("profile:")[0]
    steps = written_plan(tmp_path, settings, text + "profile: {device: 'ssh:me@board'}\n").steps
    assert {step.resources.device for step in steps if step.kind == "profile"} == {"ssh:me@board"}
    with pytest.raises(AdbServerFailed):
        written_plan(tmp_path, settings, text + "profile: {device: R5CT1234567}\n")


def own_entry(settings: Settings, name: str, **config: int) -> None:
    """An entry of one's own that is llama-tiny but for some fields."""
    tiny = shipped()["llama-tiny"]
    entry = tiny.model_copy(update={"name": name, "config": {**(tiny.config or {}), **config}})
    settings.models_dir.mkdir(parents=True, exist_ok=True)
    (settings.models_dir / f"{name}.json").write_text(family_text((entry,)))


def test_an_entry_of_ones_own_is_converted_and_known_by_its_config(
    tmp_path: Path, settings: Settings
) -> None:
    text = RECIPE.format(model="random:mine").partition("profile:")[0].replace("[8da4w, fp16]", "8da4w")
    with pytest.raises(RecipeInvalid, match="no file 'mine'"):
        written_plan(tmp_path, settings, text)
    own_entry(settings, "mine")
    (step,) = written_plan(tmp_path, settings, text).steps
    workspace = Workspace.default(settings)
    step.work.run(workspace, settings)
    manifest = Artifact.load(workspace.artifact(step.key)).manifest
    assert manifest.source.id == "random:mine"
    expected = shipped()["llama-tiny"].parameters
    assert expected is not None and manifest.architecture.unique_parameters == expected.unique
    (again,) = written_plan(tmp_path, settings, text).steps
    assert (again.state, again.key) == ("done", step.key)

    own_entry(settings, "mine", num_hidden_layers=1)
    (other,) = written_plan(tmp_path, settings, text).steps
    assert other.state == "to do" and other.key != step.key
    # Another host's file, or one that changed since the plan.
    own_entry(settings, "mine", num_hidden_layers=3)
    with pytest.raises(SourceError, match="not the one that the step was planned with"):
        other.work.run(workspace, settings)


def test_pauses_take_time(tmp_path: Path, settings: Settings) -> None:
    def seconds(pause: str) -> float:
        text = RECIPE.format(model="random:llama-tiny").partition("profile:")[0]
        work = f"profile: {{device: local, repetitions: 4, warmup: 1, pause_s: {pause}}}\n"
        *_, last = written_plan(tmp_path, settings, text + work).steps
        return last.estimate.seconds

    assert seconds("10") - seconds("0") == pytest.approx(50)


def test_memory_of_architectures_of_our_own_is_estimated_by_the_catalogue(
    tmp_path: Path, settings: Settings
) -> None:
    made = written_plan(tmp_path, settings, RECIPE.format(model="random:OpenELM-270M"))
    # 271 M parameters, of which 41 M are the vocabulary's: six float32 copies of it, and the libraries.
    assert all(1.2e9 < step.resources.memory_bytes < 1.6e9 for step in made.steps if step.kind == "convert")
    assert all(step.estimate.ram_bytes < 1.4e9 for step in made.steps if step.kind == "profile")


def test_nothing_but_what_decides_about_the_output_changes_a_key(tmp_path: Path, settings: Settings) -> None:
    text = RECIPE.format(model="random:llama-tiny")
    before = keys(written_plan(tmp_path, settings, text))
    other_words = (
        text.replace("planned", "renamed") + "description: another\nlimits: {retries: 5, memory_gb: 3}\n"
    )
    assert keys(written_plan(tmp_path, settings, other_words)) == before
    for changed in ("limits: {cpus: 2}\n", ""):
        more = text + changed if changed else text.replace("fp16", "8w")
        assert keys(written_plan(tmp_path, settings, more)) != before


def test_other_code_or_other_versions_make_other_keys(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = RECIPE.format(model="random:llama-tiny")
    before = keys(written_plan(tmp_path, settings, text))
    monkeypatch.setattr(fingerprints, "converting_code", lambda: "edited")
    edited = keys(written_plan(tmp_path, settings, text))
    assert before.isdisjoint(edited)
    monkeypatch.setattr(fingerprints, "installed", lambda package: f"{package} 99")
    assert edited.isdisjoint(keys(written_plan(tmp_path, settings, text)))


def test_a_task_of_ones_own_is_found_beside_the_recipe_and_known_by_what_it_holds(
    tmp_path: Path, settings: Settings
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    text = RECIPE.format(model="random:llama-tiny") + "evaluate: {tasks: 'mine.yml, arc_easy'}\n"
    with pytest.raises(RecipeInvalid, match="mine.yml"):
        written_plan(home, settings, text)
    files = {
        "base.yaml": "task: base\nprocess_docs: !function own.words.of\n",
        "mine.yml": "include: base.yaml\ndataset_kwargs: {data_files: {test: items.jsonl}}\n",
        "own/words.py": "def of(docs): return docs\n",
        "items.jsonl": "{}\n",
    }
    (home / "own").mkdir()
    for name, content in files.items():
        (home / name).write_text(content)

    def evaluations() -> set[str]:
        return {step.key for step in written_plan(home, settings, text).steps if step.kind == "evaluate"}

    first = [step for step in written_plan(home, settings, text).steps if step.kind == "evaluate"][0]
    assert first.work.request.tasks == f"{home / 'mine.yml'},arc_easy"
    assert "mine.yml,arc_easy" in first.title and str(home) not in first.title
    before = evaluations()
    for name, content in files.items():
        (home / name).write_text(content + "# edited\n")
        assert before.isdisjoint(edited := evaluations()), name
        before = edited
    (home / "unrelated.txt").write_text("x")
    assert evaluations() == before


def test_a_plan_and_a_report_are_made_without_torch() -> None:
    """It takes longer to load than they take."""
    program = (
        "import sys\nsys.modules['torch'] = None\n"
        "import toolkit.recipes.plan, toolkit.report.content\n"
        "from toolkit.recipes.step_kinds import recipe_type\nrecipe_type()"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_whatever_a_conversion_imports_is_part_of_its_key() -> None:
    program = (
        "import sys, toolkit.export.convert, toolkit.sources\n"
        "from toolkit.engines import ENGINES\n"
        "from toolkit.export.lowering import lowering_for\n"
        "from toolkit.registry import resolve\n"
        "[(lowering_for(engine), resolve(engine.decoder)) for engine in ENGINES.values()]\n"
        "print(*(name for name in sys.modules if name.startswith('toolkit.')))"
    )
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    imported = {name.split(".")[1] for name in printed.split()}
    # What these do cannot change an artifact.
    plain = {"errors", "extras", "files", "progress", "registry", "settings"}
    assert "capture" in imported
    assert imported - plain <= {name.removesuffix(".py") for name in fingerprints.CONVERTING}


def test_a_config_file_is_part_of_the_key(tmp_path: Path, settings: Settings) -> None:
    config = tmp_path / "mine.json"
    fields = {"model_type": "llama", "vocab_size": 512, "hidden_size": 64}
    config.write_text(json.dumps(fields))
    before = keys(written_plan(tmp_path, settings, RECIPE.format(model="random:mine.json")))
    config.write_text(json.dumps({**fields, "hidden_size": 128}))
    assert before.isdisjoint(keys(written_plan(tmp_path, settings, RECIPE.format(model="random:mine.json"))))


def test_a_folder_is_known_by_what_its_files_hold(tmp_path: Path, settings: Settings) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "config.json").write_text("{}")
    before = keys(written_plan(tmp_path, settings, RECIPE.format(model="./model")))
    assert keys(written_plan(tmp_path, settings, RECIPE.format(model="./model"))) == before
    (folder / "config.json").write_text('{"rope_theta": 1}')
    assert before.isdisjoint(keys(written_plan(tmp_path, settings, RECIPE.format(model="./model"))))


def test_a_hub_model_is_unknown_until_it_is_fetched(tmp_path: Path, settings: Settings) -> None:
    text = RECIPE.format(model="owner/name")
    made = written_plan(tmp_path, settings, text)
    assert [step.state for step in made.steps] == ["to do"] + 8 * ["unknown"]
    lock = SourceLock.model_validate(
        {
            "model": "owner/name",
            "asked_revision": None,
            "info": {"kind": "hub", "id": "owner/name", "revision": "c0ffee", "files": []},
            "config": {},
        }
    )
    Workspace.default(settings).write_source(made.steps[0].key, lock)
    made = written_plan(tmp_path, settings, text)
    assert [step.state for step in made.steps] == ["done"] + 8 * ["to do"]
    assert made.steps[1].work.kind == "convert" and made.steps[1].work.request.revision == "c0ffee"


def test_a_profile_step_is_done_only_when_the_store_has_its_run(tmp_path: Path, settings: Settings) -> None:
    text = RECIPE.format(model="random:llama-tiny")
    step = written_plan(tmp_path, settings, text).steps[-1]
    attempt = Attempt(number=1, outcome="done", started_unix_ns=1, ended_unix_ns=2)
    record = StepRecord(
        key=step.key, kind="profile", title="", attempts=[attempt], result={"run_id": run_id(step.key, 1)}
    )
    Workspace.default(settings).write_record(record)
    assert written_plan(tmp_path, settings, text).steps[-1].state == "to do"


def test_run_ids_are_what_the_store_takes_and_differ_by_attempt() -> None:
    ids = {run_id(f"key{number}", attempt) for number in range(50) for attempt in (1, 2)}
    assert len(ids) == 100
    assert all(len(one) == 16 and one.isalnum() and one.islower() or one.isdigit() for one in ids)
    assert run_id("key1", 1) == run_id("key1", 1)


def test_a_damaged_record_counts_as_none(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    (tmp_path / "steps").mkdir()
    for text in ("", "{", "[]", '{"schema": "slm-step/9"}', "\0"):
        (tmp_path / "steps" / "k.json").write_text(text)
        assert workspace.record("k") is None


PLACES = """schema: slm-recipe/1
name: places
convert: {model: random:llama-tiny}
profile: {device: [local, virtual, R5CT10ABCDE]}
evaluate: {text: book.txt, needle: true, device: [local, virtual, R5CT10ABCDE]}
"""


def test_this_machine_is_another_device_than_any_other_machine(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "book.txt").write_text("text")
    keys_here = {step.title: step.key for step in written_plan(tmp_path, settings, PLACES).steps}
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    keys_there = {step.title: step.key for step in written_plan(tmp_path, settings, PLACES).steps}
    other = {title for title in keys_here if keys_here[title] != keys_there[title]}
    assert len(keys_here) == 1 + 3 + 4
    assert (
        other == {one for one in keys_here if one.endswith((" on local", " on virtual-1"))}
        and len(other) == 4
    )


@pytest.mark.parametrize(
    "model", ["HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct", "random:SmolLM2-135M"]
)
def test_a_model_that_is_not_there_yet_is_as_large_as_the_catalogue_says(model: str) -> None:
    # The published count (model card of SmolLM2), not a guess of a billion.
    assert ModelSize.of({}, model).parameters == pytest.approx(135e6, rel=0.01)


def test_a_model_whose_size_alone_is_known_is_guessed_as_real_ones_of_that_size_are() -> None:
    # What decides whether a conversion may start is its largest matrix.
    real = [size for name in shipped() if (size := ModelSize.of_entry(shipped()[name]))]
    real = [size for size in real if size.parameters > 100_000_000]
    assert len(real) > 50
    guessed = [ModelSize.of({"file_bytes": one.parameters * 4.5 / 8}) for one in real]
    for known, guess in zip(real, guessed, strict=True):
        assert guess.parameters == pytest.approx(known.parameters, rel=0.01)
    ratios = [guess.largest_matrix / known.largest_matrix for known, guess in zip(real, guessed, strict=True)]
    assert 0.7 < statistics.median(ratios) < 2
    assert 0.25 < min(ratios) and max(ratios) < 8
