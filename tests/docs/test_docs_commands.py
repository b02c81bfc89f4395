"""Every `slm ...` that the documentation shows is a command that exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from documents import ROOT, documents

from toolkit.cli.main import app

# A command in a code block, at a line's start or after a prompt; or in backquotes.
_LINE = re.compile(r"^\s*(?:\$ |# )?(?:[A-Z_]+=\S+ )*(slm .*)$")
_INLINE = re.compile(r"`(slm [^`]*)`", re.DOTALL)
_BLOCK = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# The tree of all commands, which takes longer to make than to search.
ROOT_COMMAND: Any = typer.main.get_command(app)
# Where a shell's next command begins, or a comment.
_END = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "2>", "<"})


def commands(text: str) -> Iterator[str]:
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            if match := _LINE.match(line):
                yield match[1]
    yield from (re.sub(r"\s+", " ", found) for found in _INLINE.findall(_BLOCK.sub("", text)))


def problem(command: str) -> str | None:
    """What is wrong with a command line; None when its verbs and options exist."""
    words = shlex.shlex(command, posix=True, punctuation_chars="|&;<>")
    words.whitespace_split, words.commenters = True, "#"
    try:
        tokens = list(words)[1:]
    except ValueError as error:
        return str(error)
    here = ROOT_COMMAND
    while tokens:
        token = tokens.pop(0)
        if token in _END:
            break
        if token.startswith("-") and token.strip("-"):
            if token in ("--help",):
                continue
            name, _, value = token.partition("=")
            option = next((o for o in here.params if name in (*o.opts, *o.secondary_opts)), None)
            if option is None:
                return f"{here.name} has no option {name}"
            if not option.is_flag and not value and tokens:
                tokens.pop(0)
        elif getattr(here, "commands", None):
            # A verb in capitals or dots stands for any.
            if token.isupper() or token.startswith("..."):
                break
            if token not in here.commands:
                return f"no verb {token!r}"
            here = here.commands[token]
    return None


def files() -> list[Path]:
    """Pages and recipe headers, but the generated ones: those are made from the commands themselves."""
    pages = [page for page in documents() if page.parent.name != "reference"]
    return [*pages, *sorted((ROOT / "recipes").glob("*/*.yaml"))]


@pytest.mark.parametrize("page", files(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_parse(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".yaml":
        header = "\n".join(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
        text = f"```\n{re.sub('^(Run|Change|Needs): *', '', header, flags=re.MULTILINE)}\n```"
    wrong = {command: why for command in commands(text) if (why := problem(command))}
    assert not wrong


def test_every_example_in_the_help_parses() -> None:
    wrong = {}
    stack = [ROOT_COMMAND]
    while stack:
        here: Any = stack.pop()
        stack += getattr(here, "commands", {}).values()
        for line in (here.help or "").splitlines():
            if (match := _LINE.match(line)) and (why := problem(match[1])):
                wrong[line] = why
    assert not wrong


@pytest.mark.parametrize(
    ("command", "wrong"),
    [
        ('slm results list --where "decode > 50" --sort -decode | head', None),
        ("slm devices list                 # all of them", None),
        ("slm COMMAND --help", None),
        ("slm convrt x", "no verb 'convrt'"),
        ("slm results list --wher x", "list has no option --wher"),
        ("slm report -o 'a", "No closing quotation"),
    ],
)
def test_the_check_itself(command: str, wrong: str | None) -> None:
    assert problem(command) == wrong
