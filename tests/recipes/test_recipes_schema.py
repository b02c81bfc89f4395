from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.engines import ENGINES
from toolkit.errors import UsageError
from toolkit.recipes import presets
from toolkit.recipes.schema import Convert, Profile, json_schema
from toolkit.recipes.step_kinds import recipe_type
from toolkit.recipes.validation import load_recipe

SHIPPED = sorted((Path(__file__).parents[2] / "recipes").glob("*/*.yaml"))


def test_recipes_that_come_with_the_toolkit_go_by_name_everywhere() -> None:
    for word in ("tiny", "smoke/tiny"):
        for verb in ("validate", "plan"):
            done = CliRunner().invoke(app, ["recipe", verb, word, "--json"], catch_exceptions=False)
            assert done.exit_code == 0 and json.loads(done.stdout)
    with pytest.raises(UsageError, match="(?s)no such recipe.*mean 'smoke/tiny'"):
        CliRunner().invoke(app, ["recipe", "plan", "tinny"], catch_exceptions=False)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid_and_open_with_what_a_reader_needs(path: Path) -> None:
    assert load_recipe(path).recipe.convert.model
    header = path.read_text().partition("\nschema:")[0]
    assert not header.startswith("#\n")
    for word in ("# Needs:", "# Run:", "# Change:"):
        assert word in header


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_editors_accept_what_the_toolkit_accepts(path: Path) -> None:
    jsonschema.Draft202012Validator(json_schema()).validate(yaml.safe_load(path.read_text()))


def test_editors_refuse_what_the_toolkit_refuses() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    good = {"schema": "slm-recipe/1", "name": "x", "convert": {"model": "random:llama-tiny"}}
    assert validator.is_valid(good)
    for wrong in ({"quants": "fp16"}, {"backend": "onnx"}, {"model": []}, {"context": "long"}):
        assert not validator.is_valid({**good, "convert": {**good["convert"], **wrong}})


def test_the_command_prints_the_schema() -> None:
    done = CliRunner().invoke(app, ["recipe", "schema"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json_schema(recipe_type())


def test_backends_are_those_of_the_registry() -> None:
    [listed, many] = json_schema()["$defs"]["Convert"]["properties"]["backend"]["anyOf"]
    assert listed["enum"] == many["items"]["enum"] == list(ENGINES)


def test_presets_can_be_named_and_are_made_of_fields() -> None:
    for section, known in ((Convert, presets.CONVERT_PRESETS), (Profile, presets.PROFILE_PRESETS)):
        literal = section.model_fields["preset"].annotation
        assert set(literal.__args__[0].__args__) == set(known)
        for fields in known.values():
            assert set(fields) <= set(section.model_fields)


def test_fields_of_a_recipe_win_over_its_preset() -> None:
    profile = Profile.model_validate({"preset": "survey", "generate_tokens": 7})
    assert profile.prompt_tokens == [50]
    assert profile.generate_tokens == [7]
