"""`slm init` writes a recipe that the toolkit accepts, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.compress.presets import PRESETS
from toolkit.errors import UsageError
from toolkit.recipes.validation import load_recipe


def init(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["init", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.mark.parametrize("name", ["recipe.yaml", "My Nightly!.yaml", "ä.yaml"])
def test_the_starter_recipe_is_valid(tmp_path: Path, name: str) -> None:
    told = init(tmp_path / name, "--model", "random:llama-tiny", "-d", "local", "-d", "virtual")
    assert load_recipe(tmp_path / name).recipe.profile
    assert "slm recipe plan" in told
    assert all(preset in (tmp_path / name).read_text() for preset in PRESETS)


def test_a_recipe_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    mine = tmp_path / "recipe.yaml"
    mine.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        init(mine)
    assert mine.read_text() == "mine"
    init(mine, "--force", "--model", "random:llama-tiny")
    assert "random:llama-tiny" in mine.read_text()


def test_what_no_recipe_can_hold_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="names no device"):
        init(tmp_path / "a.yaml", "--device", "x: {")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "kept"), [("n.yaml", "n"), ("_nightly.yaml", "nightly"), ("2024.yaml", "2024")]
)
def test_whatever_the_file_is_called_its_name_is_a_text(tmp_path: Path, name: str, kept: str) -> None:
    init(tmp_path / name, "--model", "random:llama-tiny")
    assert load_recipe(tmp_path / name).recipe.name == kept


def test_a_model_beside_me_is_found_from_the_recipes_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "recipes").mkdir()
    monkeypatch.chdir(tmp_path)
    init("recipes/nightly.yaml", "--model", "./my-model")
    [model] = load_recipe(tmp_path / "recipes" / "nightly.yaml").recipe.convert.model
    assert (tmp_path / "recipes" / model.id).resolve() == tmp_path / "my-model"


def test_a_missing_folder_is_named_and_what_is_wrong_decides_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="mkdir -p"):
        init(tmp_path / "none" / "recipe.yaml")
    with pytest.raises(UsageError, match="(?s)--device.*names no device"):
        init(tmp_path / "a.yaml", "--device", "x: {")
    with pytest.raises(UsageError, match="(?s)--model"):
        init(tmp_path / "a.yaml", "--model", "")
