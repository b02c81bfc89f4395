"""The command tree as people read it: sections, whole summaries, one letter for one thing."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from toolkit.cli.main import _SECTIONS, app, main
from toolkit.progress import PROGRESS_VARIABLE, VERBOSITY_VARIABLE

ROOT: Any = typer.main.get_command(app)


def commands(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, (*path, name))


def options() -> Iterator[tuple[str, Any]]:
    for path, command in commands():
        for one in command.params:
            if one.param_type_name == "option":
                yield " ".join(path), one


def test_a_letter_means_the_same_in_every_command() -> None:
    meanings: dict[str, set[str]] = defaultdict(set)
    for _, one in options():
        for letter in one.opts:
            if not letter.startswith("--"):
                meanings[letter].add(one.opts[0])
    assert {letter: found for letter, found in meanings.items() if len(found) > 1} == {}
    assert meanings["-d"] == {"--device"} and meanings["-q"] == {"--quiet"}


def test_an_option_takes_the_same_value_in_every_command() -> None:
    metavars: dict[str, set[str | None]] = defaultdict(set)
    for path, one in options():
        if path != "profile":  # takes several numbers
            metavars[one.opts[0]].add(one.metavar)
    assert {name: found for name, found in metavars.items() if len(found) > 1} == {}


def test_help_speaks_of_values_in_words() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", "profile", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = told[told.index("Options:") :]
    assert "--device DEVICE" in options and "--repetitions N " in options and "--max-celsius X" in options
    assert "--threads N,..." in options and "--gate <off|watch|default|strict>" in options
    assert not {"<int", "<float", "<str", "<path", "list["} & {word for word in options.split() if word}


def test_each_command_stands_in_one_section() -> None:
    named = [name for names in _SECTIONS.values() for name in names]
    assert sorted(named) == sorted(ROOT.commands)


@pytest.mark.parametrize("path", [path for path, one in commands() if hasattr(one, "commands")])
def test_summaries_are_whole_in_80_columns(path: tuple[str, ...]) -> None:
    environ = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    told = subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", *path, "--help"],
        capture_output=True,
        text=True,
        env=environ,
        check=True,
    ).stdout
    assert "..." not in told.replace("[ARGS]...", "")
    assert all(len(line) <= 80 for line in told.splitlines())
    _, command = next(one for one in commands() if one[0] == path)
    lines = [line.split() for line in told.splitlines()]
    for name, one in command.commands.items():
        # On the line of its name, to the full stop.
        [line] = [line for line in lines if line[:1] == [name] and len(line) > 2]
        assert " ".join(line[1:]) == one.get_short_help_str(200)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["results", "list", "--no-progress", "-q"], 0),
        (["results", "-v", "list"], 0),
        (["-q", "results", "list", "-v"], 2),
    ],
)
def test_the_programs_own_options_may_stand_behind_the_command(
    words: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLM_DATA_DIR", str(tmp_path))
    for name in (VERBOSITY_VARIABLE, PROGRESS_VARIABLE):
        # So that whatever the command sets is undone.
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("sys.argv", ["slm", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code
    if code == 0:
        said = "quiet" if "-q" in words else "verbose"
        progress = "off" if "--no-progress" in words else ""
        assert (os.environ[VERBOSITY_VARIABLE], os.environ[PROGRESS_VARIABLE]) == (said, progress)
