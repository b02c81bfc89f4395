"""Broken recipes: every kind gets its message with its place, and nothing ever ends in a traceback."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from toolkit.cli.main import app
from toolkit.errors import RecipeError
from toolkit.recipes.problems import InvalidRecipe
from toolkit.recipes.validation import load_recipe, recipe_from_text

FOLDER = Path(__file__).with_name("broken")
EXPECTED: dict[str, list[str]] = json.loads((FOLDER / "expected.json").read_text())
SHIPPED = sorted((Path(__file__).parents[2] / "recipes").glob("*/*.yaml"))


def test_the_corpus_is_whole() -> None:
    assert {path.name for path in FOLDER.glob("*.yaml")} == set(EXPECTED)
    assert len(EXPECTED) >= 40


@pytest.mark.parametrize("name", EXPECTED)
def test_each_kind_is_told_with_its_place(name: str) -> None:
    with pytest.raises(InvalidRecipe) as caught:
        load_recipe(FOLDER / name)
    assert [f"{one.line}:{one.column}: {one.message}" for one in caught.value.problems] == EXPECTED[name]
    # What is shown must be printable everywhere.
    str(caught.value).encode("utf-8")


def test_the_command_reports_all_files_and_all_problems_at_once() -> None:
    files = [str(FOLDER / "everything_at_once.yaml"), str(FOLDER / "empty.yaml"), str(SHIPPED[0])]
    done = CliRunner().invoke(app, ["recipe", "validate", "--json", *files])
    assert done.exit_code == RecipeError.exit_code
    first, second, valid = json.loads(done.stdout)
    assert len(first["problems"]) == len(EXPECTED["everything_at_once.yaml"])
    assert second["problems"][0]["message"] == "is empty"
    assert valid["problems"] == []


def test_a_missing_file_and_a_folder_are_problems_too(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(InvalidRecipe, match="no such file"):
            load_recipe(path)


@pytest.mark.parametrize("mutants", [400, pytest.param(2000, marks=pytest.mark.soak)])
def test_no_mutant_of_a_good_recipe_ends_in_a_traceback(tmp_path: Path, mutants: int) -> None:
    rng = random.Random(20261122)
    originals = [path.read_text() for path in SHIPPED]
    rejected = understood = 0
    for number in range(mutants):
        text = rng.choice(originals)
        if number % 2:
            text = _of_tree(text, rng)
        else:
            for _ in range(rng.randint(1, 2)):
                text = rng.choice(MUTATIONS)(text, rng)
        understood += _is_mapping(text)
        try:
            recipe_from_text(text, tmp_path)
        except InvalidRecipe as error:
            rejected += 1
            lines = text.count("\n") + 2
            assert error.problems and all(
                1 <= one.line <= lines and one.column >= 1 for one in error.problems
            )
            str(error).encode("utf-8")
    # Most mutations hurt; were all of them rejected, or none, this test would say nothing.
    assert mutants // 3 < rejected < mutants * 4 // 5
    # Those that are no YAML never get to the rules for what recipes say.
    assert understood > mutants // 2


def _is_mapping(text: str) -> bool:
    try:
        return isinstance(yaml.safe_load(text), dict)
    except (yaml.YAMLError, ValueError):
        return False


def _of_tree(text: str, rng: random.Random) -> str:
    """The recipe with one or two of its values changed: what stays is YAML, and mostly a recipe."""
    data = yaml.safe_load(text)
    for _ in range(rng.randint(1, 2)):
        place = data
        for _ in range(rng.randint(0, 3)):
            inner = [one for one in _values(place) if isinstance(one, dict | list) and one]
            if not inner:
                break
            place = rng.choice(inner)
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        way = rng.choice(("replace", "replace", "near", "lose", "list", "rename"))
        old = place[key]
        if way == "replace":
            place[key] = rng.choice(TREE_VALUES)
        elif way == "near" and isinstance(old, int) and not isinstance(old, bool):
            place[key] = rng.choice((old - 1, old + 1, -old, old * 1000, float(old), str(old)))
        elif way == "list":
            place[key] = [old, rng.choice(TREE_VALUES)]
        elif way == "rename" and isinstance(place, dict):
            place[rng.choice((f"{key}s", "model", "quant", "threads", "device", 7))] = place.pop(key)
        elif way == "lose" and len(place) > 1:
            del place[key]
    return yaml.safe_dump(data, allow_unicode=True, sort_keys=False)


def _values(place: Any) -> list[Any]:
    return list(place.values()) if isinstance(place, dict) else list(place)


TREE_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 3.7, 10**30, "", "8w", "4w", "local", "random:llama-tiny", "none", [], {}, [None],
    [1, 1], ["8w", "8w"], {"a": 1}, [[1]], {1: 2}, "20h", "x" * 3000, "\u2028", "../x", float("inf"),
)  # fmt: skip


def _drop_characters(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + text[at + rng.randint(1, 20) :]


def _insert_noise(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    noise = "".join(
        rng.choice(string.printable + "\0\x85\u2028\ufeff\u00e9\U0001f600&*!|>%@`") for _ in range(5)
    )
    return text[:at] + noise + text[at:]


def _insert_yaml(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    pieces = [
        "&a ",
        "*a",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "\n---\n",
        "\n...\n",
        "!!int ",
        "!x ",
        "? ",
        "<<: *a",
        "|\n",
        ">-\n",
    ]
    more = [
        '"',
        "'",
        "\t",
        "%YAML 9.9\n",
        "\\ud800",
        "no",
        "~",
        "0x1F",
        "1e999",
        "-.inf",
        "2001-01-01",
        "#",
        "\r",
    ]
    return text[:at] + rng.choice(pieces + more) + text[at:]


def _swap_lines(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "".join(lines)


def _repeat_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = rng.randrange(len(lines))
    return "".join([*lines[:at], lines[at] * rng.randint(2, 3), *lines[at:]])


def _reindent(text: str, rng: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = rng.randrange(len(lines))
    lines[at] = rng.choice(["", " ", "   ", "\t"]) + lines[at].lstrip(" ")
    return "".join(lines)


def _replace_value(text: str, rng: random.Random) -> str:
    lines = text.splitlines() or [""]
    at = rng.randrange(len(lines))
    values = [
        "",
        "null",
        "[]",
        "{}",
        "-1",
        "9" * 30,
        "[[1]]",
        "{a: b}",
        "true",
        "3.7",
        "''",
        "[null, 1, x]",
        "x" * 3000,
    ]
    lines[at] = lines[at].partition(":")[0] + ": " + rng.choice(values)
    return "\n".join(lines) + "\n"


MUTATIONS: list[Callable[[str, random.Random], str]] = [
    _drop_characters,
    _insert_noise,
    _insert_yaml,
    _swap_lines,
    _repeat_line,
    _reindent,
    _replace_value,
]
