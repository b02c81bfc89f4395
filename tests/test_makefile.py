"""What make's targets install is what they and the README need."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What each command imports beyond the light install; one that is missing here fails the test.
NEEDED: dict[str, set[str]] = {
    **dict.fromkeys(("config", "devices", "doctor", "init", "push", "pull", "results"), set()),
    **dict.fromkeys(("artifacts", "card", "compare", "profile"), {"runner"}),
    **dict.fromkeys(("app", "runtime"), {"runner"}),
    **dict.fromkeys(("estimate", "push-to-hub"), {"convert"}),
    **dict.fromkeys(("autotune", "chat", "convert", "generate"), {"convert", "runner"}),
    **dict.fromkeys(("recipe", "study"), {"convert", "executorch", "runner", "report"}),
    **dict.fromkeys(("models", "report"), {"report"}),
    "serve": {"convert", "runner", "serve"},
}  # fmt: skip


def rules() -> dict[str, tuple[set[str], set[str]]]:
    """Of each file that says what is installed: the extras of its rule, and the files that it touches."""
    text = (ROOT / "Makefile").read_text()
    found = re.findall(r"^\$\(VENV\)/\.(\w+):.*\n((?:\t.*\n?)+)", text, re.MULTILINE)
    return {name: (_extras(recipe), _touched(name, recipe)) for name, recipe in found}


def _extras(recipe: str) -> set[str]:
    """With those that an extra is made of."""
    [line] = re.findall(r"pip install .*'\.\[(.*)\]'", recipe)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = set(line.split(","))
    for extra in line.split(","):
        for package in project["optional-dependencies"][extra]:
            own = re.match(rf"{project['name']}\[(.*)\]", package)
            found |= set(own[1].split(",")) if own else set()
    return found


def _touched(name: str, recipe: str) -> set[str]:
    [touched] = re.findall(r"@touch (.*)", recipe)
    return {name if one == "$@" else one.removeprefix("$(VENV)/.") for one in touched.split()}


def test_a_rule_installs_all_that_it_says_is_installed() -> None:
    found = rules()
    assert set(found) == {"demo", "arm64", "test"}
    for extras, touched in found.values():
        for other in touched:
            assert found[other][0] <= extras, other


def test_the_demo_brings_what_the_readme_shows() -> None:
    text = (ROOT / "README.md").read_text()
    verbs = set(re.findall(r"(?:^|`)slm ([a-z][a-z-]+)", text, re.MULTILINE))
    assert {"convert", "profile", "serve", "report", "study"} <= verbs
    installed = rules()["demo"][0]
    for verb in verbs:
        assert NEEDED[verb] <= installed, f"slm {verb}"


def test_what_the_demo_leaves_out_is_named_with_the_command() -> None:
    [named] = re.findall(r"pip install -e '\.\[(.*?)\]'", (ROOT / "README.md").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(named.split(",")) == set(project["optional-dependencies"]) - rules()["demo"][0] - {"dev"}


@pytest.mark.parametrize("target", ["demo", "arm64-demo", "app-demo"])
def test_a_target_that_shows_something_installs_it_first(target: str) -> None:
    text = (ROOT / "Makefile").read_text()
    found = re.search(rf"^{target}: \$\(VENV\)/\.(\w+).*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert found is not None
    for verb in re.findall(r"(?<!\w)slm ([a-z][a-z-]+)", found[2]):
        assert NEEDED[verb] <= rules()[found[1]][0], verb
