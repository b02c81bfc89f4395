"""What a recipe's words must mean: schemes, algorithms, models and devices that exist, runs that fit."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.compress.algorithms import ALGORITHMS, CALIBRATED_ALGORITHMS
from toolkit.compress.groups import GROUP_SIZES, PER_CHANNEL
from toolkit.compress.presets import PRESETS
from toolkit.compress.schemes import SCHEMES
from toolkit.errors import UsageError
from toolkit.files import expanded
from toolkit.profiling.request import parse_affinity
from toolkit.recipes import matrix
from toolkit.recipes.axes import Section
from toolkit.recipes.document import Document, PathInFile
from toolkit.recipes.problems import nearest_choice
from toolkit.recipes.schema import Recipe
from toolkit.recipes.targets import DEVICE_WORDS, is_device_word

SOURCE = "source"
REPORT_SUFFIXES = (".html", ".md", ".png")
# More combinations than this are a mistake, not a plan.
MAXIMUM_STEPS = 100_000
_HUB_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")


def check_words(document: Document, folder: Path, own: Path | None) -> None:
    """Add a problem for every word that means nothing, also where the file around it is not well formed."""
    for path, value in document.scalars():
        axis = _axis(path)
        if axis is not None:
            _check_value(axis, value, document.position(path), document, folder, own)


def check_plan(recipe: Recipe, document: Document) -> None:
    """Add problems of a recipe whose words are all known: what it stands for as a whole."""
    _check_reports(recipe, document)
    if recipe.baseline is not None and recipe.baseline in recipe.tag:
        document.problems.add(
            document.position(("baseline",)),
            f"baseline {recipe.baseline!r} is a tag of every run, so no run could be compared with it",
            "Give the baseline a tag of its own.",
        )
    if not document.problems:
        _check_combinations(recipe, document)


def _axis(path: PathInFile) -> str | None:
    """The axis that a value belongs to, wherever it stands: convert.quant, profile.exclude.0.quant.1 ..."""
    if path[:1] not in (("convert",), ("profile",), ("evaluate",)):
        return None
    fields = [part for part in path[1:] if isinstance(part, str) and part not in ("include", "exclude")]
    if fields[:1] == ["model"] and fields[1:] not in ([], ["id"]):
        return None
    return fields[0] if fields else None


def _check_value(
    axis: str, value: Any, at: tuple[int, int], document: Document, folder: Path, own: Path | None
) -> None:
    problems = document.problems
    if axis == "group_size":
        if isinstance(value, int) and value not in (*GROUP_SIZES, PER_CHANNEL):
            sizes = ", ".join(map(str, GROUP_SIZES))
            problems.add(at, f"no group size {value}", f"Use one of {sizes}, or 0 for per channel.")
    elif not isinstance(value, str) or not value:
        return
    elif axis == "model":
        _check_model(value, at, document, folder, own)
    elif axis == "quant":
        _check_word(value, [*SCHEMES, *PRESETS, SOURCE], "scheme or preset", at, document)
    elif axis in ("embedding", "lm_head"):
        _check_word(value, list(SCHEMES), "scheme", at, document)
    elif axis == "algorithm":
        _check_word(value, (*ALGORITHMS, *CALIBRATED_ALGORITHMS), "algorithm", at, document)
    elif axis == "device" and not is_device_word(value):
        near = difflib.get_close_matches(value, DEVICE_WORDS, n=1, cutoff=0.5)
        hint = f"Did you mean {near[0]!r}? " if near else ""
        text = "Write local, virtual, virtual:N (1 to 16), phones, ssh:USER@HOST, or a serial."
        problems.add(at, f"{value!r} names no device", hint + text)
    elif axis == "calibration" and not is_file(folder / expanded(value)):
        problems.add(at, f"no file {value!r}", "Paths start from the recipe's folder.")
    elif axis == "affinity":
        try:
            parse_affinity(value)
        except UsageError:
            problems.add(at, f"{value!r} is not a list of CPUs", "Write it like '0,2,4-7'.")


def _check_word(
    word: str, choices: Sequence[str], kind: str, at: tuple[int, int], document: Document
) -> None:
    if word not in choices:
        document.problems.add(at, f"unknown {kind} {word!r}", nearest_choice(word, choices))


def _check_model(model: str, at: tuple[int, int], document: Document, folder: Path, own: Path | None) -> None:
    """Models on this machine must be there; whether the hub has one shows when it is fetched."""
    from toolkit.models.catalogue.catalogue import catalogue_for
    from toolkit.sources.gguf.recognition import is_gguf

    problems = document.problems
    if "\0" in model:
        problems.add(at, "the model's name holds a NUL character")
    elif model.startswith("random:"):
        name = model.removeprefix("random:")
        known = catalogue_for(name, own)
        if name in known:
            entry = known[name]
            if entry.config is None:
                problems.add(at, f"the catalogue has no config of {entry.name}", entry.config_note or "")
        elif not is_file(folder / name):
            problems.add(
                at,
                f"no model of the catalogue and no file {name!r}",
                nearest_choice(name, known.buildable()),
            )
    elif is_gguf(folder / expanded(model)):
        if not is_file(folder / expanded(model)):
            problems.add(at, f"no file {model!r}", "Paths start from the recipe's folder.")
    elif not _HUB_ID.fullmatch(model) and not is_folder(folder / expanded(model)):
        problems.add(at, f"{model!r} is no folder, and no hub id either", "Hub ids are owner/name.")


def is_file(path: Path) -> bool:
    """Whether there is one; a name that no file system takes is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether there is one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _check_reports(recipe: Recipe, document: Document) -> None:
    for index, name in enumerate(recipe.report):
        at = document.position(("report", index))
        if Path(name).suffix not in REPORT_SUFFIXES or "\0" in name:
            document.problems.add(
                at, f"report {name!r} has no known format", f"End it with {' '.join(REPORT_SUFFIXES)}."
            )
        elif Path(name).is_absolute() or ".." in Path(name).parts:
            document.problems.add(
                at, f"report {name!r} is not in the batch's folder", "Give a name without folders above it."
            )
        elif Path(name).with_suffix("").parts[:1] in (("artifacts",), ("lock",)):
            document.problems.add(
                at, f"report {name!r}: the batch's folder has that name already", "Choose another one."
            )
        elif recipe.profile is None:
            document.problems.add(at, "a report without a profile section has nothing to show")


def _check_combinations(recipe: Recipe, document: Document) -> None:
    """Whether the matrix holds something, every exclude meets something, and every run has room."""
    size = _matrix_size(recipe)
    if size > MAXIMUM_STEPS:
        document.problems.add((1, 1), f"{size} combinations; a recipe may have {MAXIMUM_STEPS}", "Split it.")
        return
    convert = recipe.convert
    everything = matrix.conversions(convert.model_copy(update={"exclude": []}))
    _check_excludes(("convert", "exclude"), convert.exclude, [one.values for one in everything], document)
    converted = matrix.conversions(convert)
    if not converted:
        document.problems.add(document.key_position(("convert", "exclude")), "nothing is left to convert")
    calibration: Path | None = getattr(convert, "calibration")  # noqa: B009
    if converted and calibration is not None and all(one.request.calibration is None for one in converted):
        names = " or ".join(CALIBRATED_ALGORITHMS)
        document.problems.add(
            document.key_position(("convert", "calibration")),
            f"calibration is for algorithm {names}, and nothing is converted with it",
            f"Leave it out, or add {names} to algorithm.",
        )
    if recipe.profile is None:
        return
    runs = matrix.profile_runs(recipe.profile.model_copy(update={"exclude": []}), converted)
    candidates = [run.values for run in runs]
    _check_excludes(("profile", "exclude"), recipe.profile.exclude, candidates, document)
    at = document.key_position(("profile",))
    for work in dict.fromkeys(_work(run) for run in matrix.profile_runs(recipe.profile, converted)):
        prompt, generated, depth, context = work
        if context is not None and prompt + generated + depth > context:
            text = (
                f"depth {depth} + prompt {prompt} + generated {generated} do not fit into context {context}"
            )
            document.problems.add(at, text, "Ask for fewer tokens or raise convert.context.")


def _work(run: matrix.ProfileRun) -> tuple[int, int, int, int | None]:
    request = run.request
    return request.prompt_tokens, request.generate_tokens, request.depth, run.conversion.request.context


def _matrix_size(recipe: Recipe) -> int:
    """Combinations before anything is left out, includes counted generously."""
    sections: list[tuple[Section, Sequence[str]]] = [(recipe.convert, matrix.convert_axes(recipe.convert))]
    if recipe.profile is not None:
        sections.append((recipe.profile, matrix.profile_axes(recipe.profile)))
    total = 1
    for section, axes in sections:
        size = _product(section, axes)
        total *= size + sum(_product(more, axes) for more in getattr(section, "include"))  # noqa: B009
    return total


def _product(section: Section, axes: Sequence[str]) -> int:
    size = 1
    for axis in axes:
        size *= len(getattr(section, axis) or [None])
    return size


def _check_excludes(
    path: PathInFile, excludes: Sequence[Section], candidates: list[dict[str, Any]], document: Document
) -> None:
    for index, out in enumerate(excludes):
        if not any(matrix.matches(values, out) for values in candidates):
            at = document.position((*path, index))
            document.problems.add(
                at, "excludes nothing: no combination is like this", "Remove it, or fix it."
            )
