"""Reading a recipe: everything that is wrong with it is reported at once, with line and column."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from toolkit.recipes.axes import settings
from toolkit.recipes.choices import check_plan, check_words
from toolkit.recipes.document import Document, PathInFile, parse_document, read_document
from toolkit.recipes.problems import nearest_choice
from toolkit.recipes.schema import SCHEMA, Convert, Limits, LoadedRecipe, Model, Profile, Recipe, Schedule
from toolkit.recipes.step_kinds import STEP_KINDS, recipe_type, sections

# Sections by where they are in the file; * stands for an index in a list.
_SECTIONS: dict[PathInFile, type[BaseModel]] = {
    ("convert",): Convert,
    ("convert", "model", "*"): Model,
    ("convert", "include", "*"): Convert.match_type,
    ("convert", "exclude", "*"): Convert.match_type,
    ("profile",): Profile,
    ("profile", "include", "*"): Profile.match_type,
    ("profile", "exclude", "*"): Profile.match_type,
    ("limits",): Limits,
    ("schedule",): Schedule,
}
_SECTIONS |= {
    (name, field.name): field.nested
    for name, section in (("convert", Convert), ("profile", Profile))
    for field in settings(section.request_type)
    if field.nested is not None
}


def load_recipe(path: Path, own: Path | None = None) -> LoadedRecipe:
    """Read and check a recipe file.

    Args:
        path: of the file.
        own: the folder with the user's own entries of the catalogue.

    Raises:
        RecipeInvalid: with every problem that it has.
    """
    document = read_document(path)
    recipe = checked(document, path.parent, own)
    document.problems.raise_if_any(str(path))
    assert recipe is not None, "a file without problems makes a recipe"
    return LoadedRecipe(recipe, path.absolute(), hashlib.sha256(path.read_bytes()).hexdigest())


def recipe_from_text(text: str, folder: Path, name: str = "recipe.yaml", own: Path | None = None) -> Recipe:
    """A recipe from text, as :func:`load_recipe` would read it from a file in ``folder``.

    Raises:
        RecipeInvalid: with every problem that it has.
    """
    document = parse_document(text)
    recipe = checked(document, folder, own)
    document.problems.raise_if_any(name)
    assert recipe is not None, "a text without problems makes a recipe"
    return recipe


def checked(document: Document, folder: Path, own: Path | None = None) -> Recipe | None:
    """Check parsed data; problems are added to the document's, None is returned when there is no recipe."""
    if document.data is None:
        return None
    if not isinstance(document.data, dict):
        document.problems.add((1, 1), "a recipe is a mapping of fields", f"Start with: schema: {SCHEMA}")
        return None
    check_words(document, folder, own)
    try:
        recipe = recipe_type().model_validate(document.data)
    except ValidationError as error:
        for one in error.errors(include_url=False, include_context=True):
            _add(document, one)
        return None
    check_plan(recipe, document)
    _check_kinds(recipe, document, folder)
    return recipe


def _check_kinds(recipe: Recipe, document: Document, folder: Path) -> None:
    """What the kinds of steps would refuse to plan, whatever machine it is."""
    for name in STEP_KINDS:
        for field, error in STEP_KINDS.get(name).problems(recipe, folder):
            path = (name, field) if field else (name,)
            what = f"{error.subject}: {error.what}" if error.subject else error.what
            document.problems.add(document.position(path), what, error.next_step or "")


def _add(document: Document, error: Any) -> None:
    path: PathInFile = tuple(error["loc"])
    kind, name = error["type"], path[-1] if path else ""
    # What could not be read is None in the data, and its own problem has been noted already.
    if document.problems.has(document.position(path)):
        return
    if kind == "extra_forbidden":
        at = document.key_position(path)
        document.problems.add(at, f"unknown field {name!r}", nearest_choice(str(name), _fields(path[:-1])))
    elif kind == "missing":
        document.problems.add(document.position(path[:-1]), f"field {name!r} is missing")
    elif kind == "string_pattern_mismatch":
        hint = "Use small letters, digits, dots, dashes and underscores, at most 48."
        document.problems.add(document.position(path), f"{_noun(path)} {_shown(error)} is no name", hint)
    elif kind == "literal_error" and isinstance(error["input"], str):
        choices = [word.strip(" '") for word in error["ctx"]["expected"].replace(" or ", ",").split(",")]
        hint = nearest_choice(error["input"], choices)
        document.problems.add(document.position(path), f"unknown {_noun(path)} {error['input']!r}", hint)
    else:
        document.problems.add(document.position(path), f"{_noun(path)}: {_message(error)}")


def _fields(section: PathInFile) -> list[str]:
    shape = tuple("*" if isinstance(part, int) else part for part in section)
    model = _section(shape)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _section(shape: PathInFile) -> type[BaseModel] | None:
    if shape == ():
        return recipe_type()
    brought: dict[PathInFile, type[BaseModel]] = {(name,): one for name, one in sections().items()}
    return brought.get(shape) or _SECTIONS.get(shape)


def _noun(path: PathInFile) -> str:
    """The field that an error is about: list indices are left to the column."""
    return ".".join(str(part) for part in path if not isinstance(part, int)) or "recipe"


_MESSAGES = {
    "model_type": "{} should be a mapping of fields",
    "model_attributes_type": "{} should be a mapping of fields",
    "list_type": "{} should be a list",
    "string_type": "{} should be text; put it in quotes if it is",
    "int_type": "{} should be a whole number",
    "bool_type": "{} should be true or false",
    "float_type": "{} should be a number",
    "too_short": "is empty; leave it out or give a value",
    "string_too_short": "is empty; leave it out or give a value",
}


def _message(error: Any) -> str:
    known = _MESSAGES.get(error["type"])
    if known is not None:
        return known.format(_shown(error))
    message = str(error["msg"]).removeprefix("Input ").removeprefix("Value error, ")
    return f"{_shown(error)} {message}" if message.startswith("should") else message


def _shown(error: Any) -> str:
    shown = repr(error["input"])
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
