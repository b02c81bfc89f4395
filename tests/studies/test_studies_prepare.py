"""From a request to a recipe: models, contexts, limits, and what is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.errors import CatalogueInvalid, EnergyRefused, StudyError, ToolkitError, UnknownModel, UsageError
from toolkit.models.catalogue.catalogue import shipped
from toolkit.recipes.plan import make_plan
from toolkit.recipes.workspace import Workspace
from toolkit.settings import Settings
from toolkit.studies.request import StudyRequest
from toolkit.studies.running import (
    Prepared,
    loaded_anywhere,
    prepare,
    stored_study,
    write_report,
    written,
)
from toolkit.studies.study import STUDIES

PAGE = Path(__file__).parents[2] / "docs" / "studies.md"
SHOWN = re.findall(r"^slm study ((?:run|plan) .*)$", PAGE.read_text(), re.MULTILINE)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return dataclasses.replace(
        Settings.from_environment(), data_dir=tmp_path, store_url=f"sqlite:///{tmp_path / 'results.db'}"
    )


def prepared(settings: Settings, study: str = "latency-overview", **request: Any) -> Prepared:
    made = prepare(STUDIES.get(study), StudyRequest.of(**request), settings)
    loaded_anywhere(made, settings)
    return made


@pytest.mark.parametrize("command", SHOWN)
def test_every_command_of_the_page_about_studies_can_be_planned(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLM_DATA_DIR", str(tmp_path))
    _, name, *options = shlex.split(command, comments=True)
    if any(word.startswith("R5CT") for word in options):
        # No phone is attached here, and virtual ones are not compared with this machine.
        devices = [index for index, word in enumerate(options) if word.startswith("R5CT") or word == "local"]
        for number, index in enumerate(devices):
            options[index] = f"virtual:{number + 1}"
    done = CliRunner().invoke(app, ["study", "plan", name, *options, "--recipe"])
    assert done.exit_code == 0, done.exception
    assert yaml.safe_load(done.stdout)["tag"] == [f"study:{name}"]


def test_the_surveys_models_up_to_a_size_by_the_surveys_protocol(settings: Settings) -> None:
    made = prepared(settings, models=["survey"], limit_params="700M", memory_gb=64)
    names = [subject.name for subject in made.subjects]
    # OpenELM's, too, as soon as there is a config of it.
    assert [name for name in names if "OpenELM" not in name] == [
        *("SmolLM-135M", "Pythia-160M", "SmolLM-360M", "Qwen1.5-0.5B", "Qwen2-0.5B", "BLOOM-560M")
    ]
    recipe = yaml.safe_load(made.text)
    assert recipe["convert"]["context"] == [2048]
    profile = recipe["profile"]
    assert (profile["prompt_tokens"], profile["generate_tokens"], profile["pause_s"]) == (50, 50, 10.0)
    assert {one.model for one in made.left_out} >= {"Gemma-2B", "Phi-2"}
    assert all("700M" in one.why or "config" in one.why for one in made.left_out)
    # As docs/studies.md has it: the figure's models, and the catalogue's.
    every = prepared(settings, models=["all"], limit_params="700M", memory_gb=64)
    assert (len(names), len(every.subjects)) == (8, 27)


def test_models_get_the_context_that_they_have_room_for(settings: Settings) -> None:
    made = prepared(settings, models=["llama-tiny", "SmolLM-135M"])
    recipe = yaml.safe_load(made.text)
    assert recipe["convert"]["context"] == [256] and recipe["convert"]["model"] == ["random:llama-tiny"]
    (more,) = recipe["convert"]["include"]
    assert more["model"] == ["random:SmolLM-135M"] and more["context"] == [2048]


def test_models_with_weights_of_their_own_are_taken_as_they_are(settings: Settings) -> None:
    made = prepared(settings, models=["HuggingFaceTB/SmolLM2-135M-Instruct", "llama-tiny"])
    assert {subject.reference for subject in made.subjects} == {
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        "random:llama-tiny",
    }


def test_a_config_of_ones_own_is_found_from_wherever_the_recipe_lies(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = shipped()["llama-tiny"]
    assert entry.config is not None
    (tmp_path / "mine.json").write_text(json.dumps(dict(entry.config)))
    monkeypatch.chdir(tmp_path)
    made = prepared(settings, models=["random:mine.json"])
    assert [subject.reference for subject in made.subjects] == [f"random:{tmp_path / 'mine.json'}"]


def test_an_entry_of_ones_own_is_measured_like_any_other(settings: Settings) -> None:
    from toolkit.models.catalogue.catalogue import family_text

    tiny = shipped()["llama-tiny"]
    mine = tiny.model_copy(update={"name": "mine", "made_up": False})
    bare = mine.model_copy(update={"name": "bare", "config": None, "config_note": "it is secret"})
    settings.models_dir.mkdir()
    for entry in (mine, bare):
        (settings.models_dir / f"{entry.name}.json").write_text(family_text((entry,)))
    made = prepared(settings, models=["mine,bare"])
    assert [subject.reference for subject in made.subjects] == ["random:mine"]
    (left,) = made.left_out
    assert left.model == "bare" and "it is secret" in left.why
    steps = make_plan(loaded_anywhere(made, settings), Workspace.default(settings), settings).steps
    assert [step.kind for step in steps] == ["convert", "profile"]
    loaded = written(made, Workspace.default(settings), settings)
    assert [one.id for one in loaded.recipe.convert.model] == ["random:mine"]


def test_what_does_not_fit_is_left_out_with_the_reason(settings: Settings) -> None:
    made = prepared(settings, models=["llama-tiny,SmolLM-1.7B"], memory_gb=1.0)
    (left,) = made.left_out
    assert left.model == "SmolLM-1.7B" and "the limit is 1.0 GB" in left.why
    with pytest.raises(UsageError, match="no model is left.*SmolLM-1.7B"):
        prepared(settings, models=["SmolLM-1.7B"], memory_gb=1.0)


def test_an_unknown_model_is_met_with_a_near_one(settings: Settings) -> None:
    with pytest.raises(UnknownModel) as caught:
        prepared(settings, models=["Qwen2-0.5"])
    assert "'Qwen2-0.5B'" in str(caught.value.next_step)
    with pytest.raises(UnknownModel, match="surveys"):
        prepared(settings, models=["surveys"])
    with pytest.raises(UnknownModel) as caught:
        prepared(settings, models=["random:Qwen2-0.5"])
    assert "'random:Qwen2-0.5B'" in str(caught.value.next_step)
    for path in ("./none", "/none/x.gguf", "none.gguf", "random:./none.json"):
        with pytest.raises(UnknownModel):
            prepared(settings, models=[path])


def test_what_cannot_be_meant_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="latency-overwiev"):
        STUDIES.get("latency-overwiev")
    with pytest.raises(UsageError, match="protocol"):
        prepared(settings, protocol="surwey")
    with pytest.raises(UsageError, match="lots"):
        prepared(settings, limit_params="lots")
    with pytest.raises(UsageError):
        prepared(settings, backend=["tensorflow"])
    with pytest.raises(ToolkitError, match="9da4w"):
        prepared(settings, models=["llama-tiny"], quant=["9da4w"])
    with pytest.raises(StudyError, match="needs 1 device, and has 0"):
        prepared(settings, models=["llama-tiny"], device=["phones"])


def test_an_entry_that_contradicts_itself_stands_in_the_way_by_its_name(settings: Settings) -> None:
    settings.models_dir.mkdir()
    (settings.models_dir / "broken.json").write_text(
        '{"schema": "slm-models/1", "models": [{"name": "broken", "family": "x", "config_note": "none", '
        '"architecture": {"attention": "MHA", "heads": 8, "kv_heads": 2}}]}'
    )
    with pytest.raises(CatalogueInvalid, match="broken.*GQA, not MHA") as caught:
        prepared(settings, models=["llama-tiny"])
    # "Mend the file" says which.
    assert str(settings.models_dir / "broken.json") in str(caught.value)
    assert "Value error" not in str(caught.value)


@pytest.mark.parametrize("name", list(STUDIES))
def test_every_study_makes_a_recipe_that_is_valid(settings: Settings, name: str) -> None:
    study = STUDIES.get(name)
    made = prepared(settings, name, models=["llama-tiny", "gpt2-tiny"], device=["virtual:2"])
    recipe = loaded_anywhere(made, settings).recipe
    assert recipe.name == f"study-{name}" and recipe.tag == [f"study:{name}"]
    assert study.name == name and {one.id for one in recipe.convert.model} == {
        "random:llama-tiny",
        "random:gpt2-tiny",
    }


def test_a_study_without_enough_devices_is_refused(settings: Settings) -> None:
    with pytest.raises(StudyError, match="needs 2 devices, and has 1") as caught:
        prepared(settings, "hardware", models=["llama-tiny"])
    assert "--device virtual:2" in str(caught.value.next_step)
    prepared(settings, "hardware", models=["llama-tiny"], device=["virtual:2"])


@pytest.mark.parametrize("device", ["local,local", "virtual,virtual:1"])
def test_a_device_that_is_named_twice_is_one(settings: Settings, device: str) -> None:
    with pytest.raises(StudyError, match="needs 2 devices, and has 1"):
        prepared(settings, "hardware", models=["llama-tiny"], device=[device])


def test_a_real_device_is_not_compared_with_a_virtual_one(settings: Settings) -> None:
    with pytest.raises(StudyError, match="1 real and 1 emulated") as caught:
        prepared(settings, "hardware", models=["llama-tiny"], device=["local,virtual"])
    assert "--device virtual:2" in str(caught.value.next_step)
    # Where devices are not compared with each other, both are measured.
    prepared(settings, "latency-overview", models=["llama-tiny"], device=["local,virtual"])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"lengths": "abc"}, "no list of numbers"),
        ({"lengths": "0,128"}, "0 is no number of tokens"),
        ({"lengths": "128,512"}, "llama-tiny have 256 tokens at most"),
        ({"depths": "0,150"}, "percents from 0 to 100"),
    ],
)
def test_needles_that_cannot_be_hidden_are_refused_before_anything_is_converted(
    settings: Settings, asked: dict[str, str], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        made = prepared(settings, "long-context", models=["llama-tiny"], **asked)
        make_plan(loaded_anywhere(made, settings), Workspace.default(settings), settings)


@pytest.mark.parametrize(("name", "energy"), [("energy", False), ("capability", True)])
def test_joules_of_a_device_without_a_battery_are_refused_before_anything_is_converted(
    name: str, energy: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A laptop that runs the tests has one.
    monkeypatch.setattr("toolkit.profiling.energy.counters.SUPPLIES_FOLDER", str(settings.data_dir / "none"))
    with pytest.raises(EnergyRefused, match="no battery") as caught:
        prepared(settings, name, models=["llama-tiny"], device=["local"], energy=energy)
    assert "Measure another device" in str(caught.value.next_step)


def test_a_report_of_what_was_not_run_says_how_to_run_it(settings: Settings) -> None:
    place = Workspace.default(settings)
    with pytest.raises(StudyError) as caught:
        stored_study("latency-overview", place)
    assert "slm study run latency-overview" in str(caught.value.next_step)
    with pytest.raises(UsageError, match="latency-overwiev"):
        stored_study("latency-overwiev", place)
    with pytest.raises(UsageError, match="format"):
        write_report("latency-overview", None, "pdf", place, None, settings)  # type: ignore[arg-type]


def test_a_study_is_shown_with_the_models_of_its_figure() -> None:
    shown = CliRunner().invoke(app, ["study", "show", "memory-breakdown"]).stdout
    names = [name for name, entry in shipped().items() if "survey-memory" in entry.groups]
    assert len(names) == 22 and all(name in shown for name in names)
    assert "--include-path" in CliRunner().invoke(app, ["study", "show", "in-context"]).stdout


def test_phones_of_other_hosts_count(settings: Settings) -> None:
    study, request = STUDIES.get("hardware"), StudyRequest.of(models=["llama-tiny"], device=["phones"])
    with pytest.raises(StudyError, match="needs 2 devices, and has 0"):
        prepare(study, request, settings, phones=lambda _: [])
    made = prepare(study, request, settings, phones=lambda _: ["R5CT10ABCDE", "R5CT10ABCDF"])
    # Nobody here knows their memory, so nothing is left out for it.
    assert made.request.memory_gb is None and not made.left_out
