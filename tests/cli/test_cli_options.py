"""The command tree as people read it: sections, whole summaries, one letter for one thing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from toolkit.cli.main import _SECTIONS, app, main
from toolkit.compress.presets import PRESETS
from toolkit.progress import PROGRESS_VARIABLE, VERBOSITY_VARIABLE

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
ROOT: Any = typer.main.get_command(app)


def commands(command: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, (*path, name))


def _own(command: Any) -> list[Any]:
    """A command's visible options, without --help and the program's."""
    return [one for one in command.params if one.param_type_name == "option" and not one.hidden]


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


def test_arguments_are_words_in_capitals() -> None:
    named = {
        " ".join(path): one.metavar
        for path, command in commands()
        for one in command.params
        if one.param_type_name == "argument"
    }
    # Typer itself writes that one may be left out or repeated.
    assert {
        path: word for path, word in named.items() if not re.fullmatch(r"[A-Z][A-Z=/|_]*", word or "")
    } == {}


@pytest.mark.parametrize("path", ["convert", "estimate", "study plan", "study run"])
def test_presets_are_listed_where_one_is_chosen(path: str) -> None:
    chosen = [one for name, one in options() if name == path and "--quant" in one.opts]
    assert len(chosen) == 1 and len(list(PRESETS)) > 1
    assert all(preset in chosen[0].help for preset in PRESETS)


def test_help_speaks_of_values_in_words() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", "profile", "--help"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    options = told[told.index("Arguments:") :]
    assert "--device DEVICE" in options and "--repetitions N " in options and "--max-celsius X" in options
    assert "--threads N,..." in options and "--gate <off|watch|default|strict>" in options
    assert not {"<int", "<float", "<str", "<path", "list["} & {word for word in options.split() if word}


LONG = [path for path, one in commands() if len(_own(one)) >= 12]


@pytest.mark.parametrize("path", LONG, ids=" ".join)
def test_a_long_list_of_options_is_shown_in_groups(path: tuple[str, ...]) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "toolkit.cli.main", *path, "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "80"},
        check=True,
    ).stdout
    shown = re.findall(r"^([A-Z]\w+):\n((?:  .*\n)+)", told, re.MULTILINE)
    groups = {
        title: re.findall(r"^  (?:-\w, )?(--[\w-]+)", lines, re.MULTILINE)
        for title, lines in shown
        if title != "Arguments"
    }
    assert groups.pop("Options") == ["--help"], "what is in no group"
    assert len(groups) > 3 and max(map(len, groups.values())) <= 10
    assert groups.get("Output", ["--json"])[-1] == "--json"
    listed = [name for names in groups.values() for name in names]
    [command] = [one for other, one in commands() if other == path]
    assert sorted(listed) == sorted(one.opts[0] for one in _own(command)), "each once"
    name = " ".join(("slm", *path))
    in_reference = re.search(
        rf"^#+ {name}\n(.*?)(?=^#+ slm|\Z)", REFERENCE.read_text(), re.MULTILINE | re.DOTALL
    )
    assert in_reference is not None
    titles = set(re.findall(r"^\*\*(\w+)\*\*$", in_reference[1], re.MULTILINE))
    assert titles - {"Arguments"} == set(groups), "in the reference as in the help"


def test_profiling_says_in_groups_what_is_done_where_and_when() -> None:
    [command] = [one for path, one in commands() if path == ("profile",)]
    of = {one.opts[0]: one.rich_help_panel for one in _own(command)}
    assert {"Work", "Device", "Engine", "Gate", "Energy", "Output"} == set(of.values())
    assert (of["--prompt-tokens"], of["--device"], of["--min-battery"]) == ("Work", "Device", "Gate")
    # As the option that they mean nothing without.
    assert of["--energy-baseline"] == of["--allow-charging"] == of["--energy"] == "Energy"


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
