"""Every error that a user can meet says what to do next."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from toolkit import errors

TOOLKIT = Path(errors.__file__).parent
# Where an error is made, its class, and the keywords that it gets.
Refusal = tuple[str, str, set[str | None]]
CLASSES = {
    name
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.ToolkitError)
}
# Deep in a graph nobody knows what else there is: `toolkit.export.convert` completes what these raise.
COMPLETED = {"UnsupportedModel": ("capture/", "export/onnx/", "export/executorch/")}
# Nor which model it is; and the engine's own process does not, which `toolkit.export.trial` completes.
NAMED_LATER = COMPLETED | {"EngineFailed": ("inference/apart.py",)}
# Errors about no model, file or device, and what they are about instead: their sentence quotes it.
WITHOUT_SUBJECT = {
    "an option, a word or a text as it was typed": (
        *("UsageError", "BadFilter", "UnknownModel", "UnknownScheme", "UnknownTask", "BadGroupSize"),
        "CompressError compress/spec.py",
    ),
    "what this machine lacks or refuses": (
        *("BuildFailed", "EngineMismatch", "AdbNotFound", "AdbServerFailed", "VirtualPhoneFailed"),
        *("ToolkitError cli/edge.py", "ToolkitError system_refusals.py"),
    ),
    "no device, or several": (
        "DeviceNotFound devices/selection.py",
        "DeviceNotFound recipes/work/profile.py",
    ),
}


@pytest.fixture(scope="module")
def refusals() -> list[Refusal]:
    return list(read_refusals())


def read_refusals() -> Iterator[Refusal]:
    for file in sorted(TOOLKIT.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES:
                place = file.relative_to(TOOLKIT).as_posix()
                yield f"{place}:{node.lineno}", node.func.id, {keyword.arg for keyword in node.keywords}


def test_a_step_of_a_recipe_fails_with_a_next_step() -> None:
    """`child.failed` asks for one, and errors bring theirs: nobody else writes such an answer."""
    writing = {
        file.name for file in (TOOLKIT / "recipes").rglob("*.py") if 'outcome="failed"' in file.read_text()
    }
    assert writing == {"child.py"}


def test_every_refusal_has_a_next_step(refusals: list[Refusal]) -> None:
    assert len(refusals) > 300
    without = [
        f"{place} {name}"
        for place, name, keywords in refusals
        if "next_step" not in keywords and not place.startswith(COMPLETED.get(name, ("-",)))
    ]
    assert without == []


def test_every_refusal_says_what_it_is_about(refusals: list[Refusal]) -> None:
    exempt = {words for group in WITHOUT_SUBJECT.values() for words in group}
    used = set()
    without = []
    for place, name, keywords in refusals:
        if keywords & {"subject", "serial"} or place.startswith(NAMED_LATER.get(name, ("-",))):
            continue
        listed = {name, f"{name} {place.partition(':')[0]}"} & exempt
        used |= listed
        without += [] if listed else [f"{place} {name}"]
    assert without == []
    assert used == exempt, "an exemption that nobody needs"
