"""An option is written once: a made-up field of a request is found wherever options are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from described_runs import OPTIONS, as_text, description, result_records
from tiny_artifact import CONTEXT_LENGTH, make_artifact
from tiny_decoder import TinyDecoder
from typer.testing import CliRunner

from toolkit.analysis.compare import compare
from toolkit.analysis.compared_figures import find_figure
from toolkit.analysis.condition_key import PARTS
from toolkit.analysis.groups import load_groups
from toolkit.artifact import Artifact
from toolkit.cli.request_options import takes
from toolkit.errors import ConditionsDiffer, UsageError
from toolkit.export.convert import convert
from toolkit.export.request import ConvertRequest
from toolkit.profiling.energy_options import EnergyOptions
from toolkit.profiling.gate_options import GateOptions
from toolkit.profiling.records import parse_result
from toolkit.profiling.request import ProfileRequest
from toolkit.profiling.run_rows import _settings, stored_run
from toolkit.profiling.session.ending import Ending
from toolkit.recipes.matrix import conversions, profile_runs
from toolkit.recipes.plan import make_plan
from toolkit.recipes.schema import LoadedRecipe, convert_section, profile_section
from toolkit.recipes.validation import load_recipe
from toolkit.recipes.workspace import Workspace
from toolkit.request import Count, Option, Request, Text
from toolkit.settings import Settings
from toolkit.sources import resolve
from toolkit.store import open_store


class FlavouredConversion(ConvertRequest):
    flavour: Annotated[Text | None, Option("How it tastes.", recipe="axis")] = None
    silent: Annotated[bool, Option("Say nothing.", key=False, recorded=False)] = False


class FlavouredRun(ProfileRequest):
    spoons: Annotated[Count, Option("How much of it.", recipe="axis", label="{} spoons".format)] = 1
    silent: Annotated[bool, Option("Say nothing.", key=False)] = False


def settings_in(folder: Path) -> Settings:
    return dataclasses.replace(
        Settings.from_environment(), data_dir=folder, store_url=f"sqlite:///{folder / 'results.db'}"
    )


def called(request: type[Request], *words: str, sweep: bool = False) -> tuple[str, list[Any]]:
    """What a command with the options of a request prints, and what it is called with."""
    told: list[Any] = []
    made = typer.Typer(rich_markup_mode=None)
    if sweep:

        @made.command()
        @takes(request, sweep=True)
        def several(requests: list[Request]) -> None:
            told.extend(requests)

    else:

        @made.command()
        @takes(request)
        def one(request: Request, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
            told.extend((request, loud))

    done = CliRunner().invoke(made, words)
    assert done.exit_code == 0, done.output
    return done.stdout, told


@pytest.mark.parametrize(
    ("words", "asked", "helped"),
    [
        (
            ("some/model", "--flavour", "salt"),
            FlavouredConversion(model="some/model", flavour="salt"),
            "How it tastes.",
        ),
        (("--spoons", "2"), FlavouredRun(spoons=2), "How much of it."),
    ],
)
def test_a_new_field_is_an_option_of_the_command(words: tuple[str, ...], asked: Request, helped: str) -> None:
    shown, _ = called(type(asked), "--help")
    assert words[-2] in shown and helped in shown and "--silent / --no-silent" in shown
    assert called(type(asked), *words, "--loud")[1] == [asked, True]


def test_a_new_axis_of_numbers_takes_several_with_commas() -> None:
    shown, _ = called(FlavouredRun, "--help", sweep=True)
    assert "--spoons N,..." in " ".join(shown.split())
    _, told = called(FlavouredRun, "--spoons", "1,2", "--threads", "4,8", "--silent", sweep=True)
    assert told == [
        FlavouredRun(spoons=spoons, threads=threads, silent=True) for threads in (4, 8) for spoons in (1, 2)
    ]


def recipe(folder: Path, convert: dict[str, Any], profile: dict[str, Any]) -> LoadedRecipe:
    path = folder / "recipe.yaml"
    path.write_text("schema: slm-recipe/1\nname: x\nconvert: {model: random:llama-tiny}\n")
    loaded = load_recipe(path)
    sections = {
        "convert": convert_section(FlavouredConversion).model_validate(
            {"model": "random:llama-tiny", **convert}
        ),
        "profile": profile_section(FlavouredRun, FlavouredConversion).model_validate(profile),
    }
    return dataclasses.replace(loaded, recipe=loaded.recipe.model_copy(update=sections))


def test_a_new_axis_is_a_field_of_the_recipe_and_multiplies_its_steps() -> None:
    section = convert_section(FlavouredConversion)
    assert section.model_json_schema()["properties"]["flavour"]["description"] == "How it tastes."
    converted = conversions(
        section.model_validate(
            {"model": "m", "flavour": ["salt", "sugar", None], "exclude": [{"flavour": "sugar"}]}
        )
    )
    assert [one.label for one in converted] == [
        "m onnxruntime mobile-4bit flavour=salt",
        "m onnxruntime mobile-4bit",
    ]
    runs = profile_runs(
        profile_section(FlavouredRun, FlavouredConversion).model_validate(
            {"spoons": [1, 2], "exclude": [{"flavour": "salt", "spoons": 2}]}
        ),
        converted,
    )
    assert [run.label for run in runs] == ["pp512 tg128 on local", *runs_of_both()]


def runs_of_both() -> list[str]:
    return ["pp512 tg128 on local", "pp512 tg128 2 spoons on local"]


@pytest.mark.parametrize(
    ("kind", "name", "values"), [("convert", "flavour", ["salt", "sugar"]), ("profile", "spoons", [1, 2])]
)
def test_a_new_field_is_part_of_the_steps_key_unless_it_says_otherwise(
    tmp_path: Path, kind: str, name: str, values: list[Any]
) -> None:
    settings = settings_in(tmp_path)

    def keys(**fields: Any) -> list[str]:
        sections = {"convert": {}, "profile": {}} | {kind: fields}
        plan = make_plan(recipe(tmp_path, **sections), Workspace.default(settings), settings)
        return [step.key for step in plan.steps if step.kind == kind]

    one, other = keys(**{name: values})
    assert one != other
    assert keys(**{name: values[0]}) == [one] and keys(**{name: values[1]}) == [other]
    assert keys(**{name: values[0]}, silent=True) == [one]


def test_the_manifest_keeps_what_was_asked(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    text = tmp_path / "mine.txt"
    text.write_text("Once upon a time there was a very small model. " * 200)
    request = FlavouredConversion(
        model="random:llama-tiny", algorithm="gptq", calibration=text, flavour="salt", silent=True
    )
    convert(resolve(request.model, settings), request, tmp_path / "made", settings)
    kept = json.loads((tmp_path / "made" / "manifest.json").read_text())["request"]
    assert kept["flavour"] == "salt" and "silent" not in kept
    # What a folder is called on somebody's machine is nobody else's business.
    assert kept["calibration"] == "mine.txt"
    assert Artifact.load(tmp_path / "made").manifest.request == kept
    assert "model" not in kept and kept["backend"] == "onnxruntime" and kept["opset"] is None


def test_artifacts_of_before_say_nothing_about_it(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    convert(
        resolve("random:llama-tiny", settings),
        ConvertRequest(model="random:llama-tiny"),
        tmp_path / "made",
        settings,
    )
    manifest = json.loads((tmp_path / "made" / "manifest.json").read_text())
    del manifest["request"]
    (tmp_path / "made" / "manifest.json").write_text(json.dumps(manifest))
    assert Artifact.load(tmp_path / "made").manifest.request is None


def test_text_to_calibrate_with_counts_by_its_content(tmp_path: Path) -> None:
    one, other = tmp_path / "1.txt", tmp_path / "2.txt"
    one.write_text("a")
    other.write_text("a")
    requests = [ConvertRequest(model="m", calibration=file) for file in (one, other)]
    assert requests[0].identity() == requests[1].identity()
    other.write_text("b")
    assert requests[0].identity() != requests[1].identity()
    # A text that is gone is not the same as none.
    other.unlink()
    with pytest.raises(UsageError, match=r"2\.txt.*No such file"):
        requests[1].identity()


def test_what_cannot_be_meant_is_refused_with_its_field() -> None:
    with pytest.raises(UsageError, match="threads"):
        ProfileRequest.of(threads=-1)
    with pytest.raises(UsageError, match="flavour"):
        ConvertRequest.of(model="m", flavour="salt")


def test_what_may_move_a_figure_is_in_the_condition_key(tmp_path: Path) -> None:
    # Those that have no column are kept among the settings, where a key finds them by their own names.
    without_column = {
        **{"processor": "npu", "provider": "QNNExecutionProvider", "runner": "app", "app_state": "service"},
        **{"pause_s": 10.0, "page_cache": "cold", "reserve": "context", "repeat_s": 600},
    }
    apart = {
        field.name: value
        for field, value in ((one, without_column.get(one.name)) for one in ProfileRequest.options())
        if field.option.condition and field.name not in PARTS
    }
    assert apart == without_column == _settings(ProfileRequest.of(**apart))
    # One that has no column is a part by its own name; at its default it is what runs of before had.
    artifact = make_artifact(tmp_path / "tiny", TinyDecoder(context_length=CONTEXT_LENGTH))
    with open_store(f"sqlite:///{tmp_path / 'results.db'}") as store:
        for number, spoons in enumerate((1, 1, 2, 3)):
            asked = FlavouredRun(**OPTIONS.model_dump(), spoons=spoons)
            run = description(artifact, options=asked, run_id=f"{number:016}")
            result = parse_result(as_text(result_records(run)), run_id=run.run_id, subject="run")
            store.add_run(stored_run(run, Ending("ok", 0, result=result), []), {})
        groups = load_groups(store, find_figure("decode"))
        assert sorted(len(group.runs) for group in groups) == [1, 1, 2]
        [ranking] = compare(store, find_figure("decode"), ["spoons"]).rankings
        assert sorted(place.label for place in ranking.places) == ["2", "3", "default"]
        with pytest.raises(ConditionsDiffer, match="spoons: 2 and 3"):
            compare(store, find_figure("decode"), ["threads"], run_ids=[f"{3:016}", f"{2:016}"])
        assert store.get_run(f"{3:016}").run.settings == {"spoons": 3}


def test_short_forms_stand_for_whole_sections() -> None:
    short = ProfileRequest.of(gate="strict", energy=True, affinity="0,2-3")
    assert short == ProfileRequest.of(gate={"name": "strict"}, energy={}, affinity=(0, 2, 3))
    assert ProfileRequest.of(energy=False).energy is None


def test_requests_written_before_can_be_read() -> None:
    """As a run's description on a device holds it."""
    old = {
        "prompt_tokens": 16, "generate_tokens": 8, "depth": 0, "repetitions": 2, "warmup": 1, "threads": 0,
        "affinity": [0, 1], "prefill_chunk": 0, "kernels": "own", "energy": None,
        "gate": {"name": "default", "max_celsius": None, "max_cpu_busy": None, "min_battery_percent": 20,
                 "time_limit_s": 300.0},
    }  # fmt: skip
    read = ProfileRequest.model_validate(old)
    assert read.affinity == (0, 1) and read.gate.min_battery_percent == 20
    assert ProfileRequest.model_validate_json(json.dumps(old)) == read


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "inf"])
def test_no_option_is_beyond_all_numbers(value: object) -> None:
    for request, name in ((GateOptions, "time_limit_s"), (EnergyOptions, "baseline_s")):
        with pytest.raises(UsageError, match=f"{name}.*finite"):
            request.of(**{name: value})
