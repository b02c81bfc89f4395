"""`slm init`: a starter recipe."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from toolkit.cli.output_file import output_file
from toolkit.errors import UsageError
from toolkit.files import expanded

if TYPE_CHECKING:
    from toolkit.recipes.problems import Problem

_NOT_IN_NAMES = re.compile(r"[^a-z0-9._-]+")
_LONGEST_NAME = 48

_TEMPLATE = """\
# Converts a model in several ways, measures each on devices, and writes a report.
#
# Plan:   slm recipe plan {path}      what will be done, and what it will take
# Run:    slm recipe run {path}       the same command goes on after an interruption
# Again:  slm recipe run {path} --again profile
# Every field there is: slm recipe schema
schema: slm-recipe/1
name: {name}
convert:
  # Hub id, folder, .gguf file, or random:NAME for every NAME of `slm models list`.
  model: {model}
  backend: [{engines}]
  # Schemes (fp32 fp16 8w 8da8w 4w 8da4w) or presets ({presets}); each one becomes an artifact.
  quant: [mobile-4bit, 8da8w]
profile:
  # local, a serial or name of `slm devices list`, phones for every attached one, virtual for a virtual phone.
  device: [{devices}]
  prompt_tokens: [128]
  generate_tokens: [64]
  repetitions: 5
  # Everything twice: what two equal runs differ by is the noise that comparisons need.
  rounds: 2
report: [report.html]
# Tag of the first runs that are whole; slm results regress --baseline main compares later ones with them.
baseline: main
"""


def init(
    recipe: Path = typer.Argument(Path("recipe.yaml"), metavar="RECIPE", help="File to write."),
    model: str = typer.Option("SmolLM2-135M-Instruct", "--model", "-m", help="As `slm convert` takes it."),
    device: list[str] = typer.Option(
        ["local"], "--device", "-d", help="As a recipe takes it; may be repeated."
    ),
    force: bool = typer.Option(False, "--force", help="Replace the file."),
) -> None:
    """Write a starter recipe. One model, two schemes, every engine that is installed here.

    \b
    Examples:
      slm init
      slm init nightly.yaml --model ./my-finetune --device phones
    """  # noqa: D301
    import json

    from toolkit.compress.presets import PRESET_NAMES
    from toolkit.engines import DEFAULT_ENGINE, ENGINES
    from toolkit.recipes.problems import InvalidRecipe
    from toolkit.recipes.validation import load_recipe
    from toolkit.settings import Settings

    if recipe.exists() and not force:
        raise UsageError(
            "already exists", subject=str(recipe), next_step="Pass --force, or name another file."
        )
    installed = [name for name in ENGINES if ENGINES.get(name).installed_version is not None]
    text = _TEMPLATE.format(
        path=recipe,
        # JSON strings are YAML strings, whatever is in them: n alone would be no.
        name=json.dumps(_NOT_IN_NAMES.sub("-", recipe.stem.lower()).strip("-._")[:_LONGEST_NAME] or "recipe"),
        model=json.dumps(_from_the_recipe(model, recipe)),
        presets=PRESET_NAMES,
        engines=", ".join(installed or [DEFAULT_ENGINE]),
        devices=", ".join(map(json.dumps, device)),
    )
    with output_file(recipe) as partial:
        partial.write_text(text, encoding="utf-8")
        try:
            load_recipe(partial, Settings.from_environment().models_dir)
        except InvalidRecipe as error:
            raise _refused(error.problems[0], text) from None
    print(f"wrote {recipe}\n  next: slm recipe plan {recipe}")


def _from_the_recipe(model: str, recipe: Path) -> str:
    """The model as a recipe names it: its paths start from the recipe's folder, these from here."""
    prefix = "random:" if model.startswith("random:") else ""
    path = expanded(model.removeprefix(prefix))
    if not model or path.is_absolute() or not path.exists():
        return model
    return prefix + os.path.relpath(path.absolute(), recipe.absolute().parent)


def _refused(problem: Problem, text: str) -> UsageError:
    """What stands in the problem's line decides which option to change."""
    field = text.splitlines()[problem.line - 1].strip().partition(":")[0]
    of_devices, of_models = "Devices: slm devices list.", "Models: slm models list."
    subject, where = {
        "name": ("the file's name", "Name the file in letters, digits and dashes."),
        "model": ("--model", of_models),
        "device": ("--device", of_devices),
    }.get(field, ("the recipe", "See docs/recipes.md."))
    return UsageError(problem.message, subject=subject, next_step=problem.hint or where)
