"""What `import toolkit as slm` offers: these names, documented, imported lazily, and used by the commands."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import toolkit
from toolkit import api
from toolkit.cli.main import app

# A name that goes breaks somebody's notebook; a new one is a promise.
NAMES = [
    "ConvertRequest",
    "GenerateRequest",
    "NeedleRequest",
    "ProfileRequest",
    "TaskRequest",
    "TextRequest",
    "ToolkitError",
    "convert",
    "evaluate_needle",
    "evaluate_tasks",
    "evaluate_text",
    "generate",
    "generate_each",
    "open_store",
    "profile",
]


class Stopped(Exception):
    """The command came to the function that the test put there."""


def test_these_names_are_offered() -> None:
    assert toolkit.__all__ == NAMES
    assert set(NAMES) <= set(dir(toolkit))
    with pytest.raises(AttributeError, match="no attribute 'covnert'"):
        toolkit.covnert  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_each_is_documented_with_its_arguments_and_errors(name: str) -> None:
    offered = getattr(toolkit, name)
    text = inspect.getdoc(offered) or ""
    assert text
    if inspect.isfunction(offered):
        assert "Raises:" in text
        arguments = list(inspect.signature(offered).parameters)
        assert [one for one in arguments if text.count(f"\n    {one}: ") != 1] == []


def test_importing_it_imports_nothing_else() -> None:
    program = "import sys, toolkit; print(*(name for name in sys.modules if name.startswith('toolkit.')))"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout.split() == []


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("convert", ["convert", "random:llama-tiny", "-o", "made", "--quant", "8w"]),
        ("generate", ["generate", "made", "-p", "x"]),
    ],
)
def test_the_commands_walk_the_same_path(
    monkeypatch: pytest.MonkeyPatch, function: str, arguments: list[str]
) -> None:
    called: list[Any] = []

    def stop(*given: Any, **named: Any) -> None:
        called.extend(given)
        raise Stopped

    monkeypatch.setattr(api, function, stop)
    assert isinstance(CliRunner().invoke(app, arguments).exception, Stopped)
    requests = [one for one in called if isinstance(one, toolkit.ConvertRequest | toolkit.GenerateRequest)]
    assert len(requests) == 1


def test_profiling_walks_the_same_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    called: list[Any] = []

    def stop(*given: Any, **named: Any) -> Any:
        called.append(given[1])
        raise Stopped

    monkeypatch.setattr("toolkit.artifact.Artifact.load", lambda path: path)
    monkeypatch.setattr(api, "profile_on_each", stop)
    monkeypatch.setattr("toolkit.api.measuring.profile_on_each", stop)
    done = CliRunner().invoke(app, ["profile", str(tmp_path), "-d", "local", "--threads", "3"])
    assert isinstance(done.exception, Stopped)
    with pytest.raises(Stopped):
        toolkit.profile(tmp_path, device="local", threads=3)
    assert called == [toolkit.ProfileRequest(threads=3)] * 2
