"""Tasks of the user's own among those that a request names, and the files that such a task is made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from toolkit.errors import UsageError
from toolkit.files import expanded

_SUFFIXES = (".yaml", ".yml")
_WORD = re.compile(r"[^\s\"'\[\]{},]+")
_FUNCTION = re.compile(r"!function\s+([\w.]+)\.\w+")


def placed(tasks: str, folder: Path) -> str:
    """The tasks, those that are YAML files by their whole path.

    Args:
        tasks: names and files with commas.
        folder: where files start from.

    Raises:
        UsageError: no such file.
    """
    found = []
    for word in (part.strip() for part in tasks.split(",")):
        file = folder.absolute() / expanded(word)
        if word.endswith(_SUFFIXES) and not file.is_file():
            raise UsageError(
                "no such file", subject=f"task {word}", next_step=f"Paths start from {folder.absolute()}."
            )
        found.append(str(file) if word.endswith(_SUFFIXES) else word)
    return ",".join(found)


def named(tasks: str) -> str:
    """The tasks for people: files without their folders."""
    return ",".join(Path(word).name if word.endswith(_SUFFIXES) else word for word in tasks.split(","))


def yaml_files(tasks: str) -> list[Path]:
    """Those of the tasks that are files."""
    return [Path(word) for word in tasks.split(",") if word.endswith(_SUFFIXES)]


def made_of(files: Iterable[Path]) -> list[Path]:
    """The files of tasks: YAML, what it includes, modules of its functions, and data on this machine.

    Whatever word of a YAML file is a file is taken for one that it names.
    """
    found: dict[Path, None] = {}
    left = list(files)
    while left:
        file = left.pop()
        if file in found:
            continue
        found[file] = None
        if file.suffix in _SUFFIXES:
            left += _named_in(file)
    return sorted(found)


def _named_in(file: Path) -> Iterator[Path]:
    text = file.read_text(encoding="utf-8", errors="replace")
    modules = [f"{module.replace('.', '/')}.py" for module in _FUNCTION.findall(text)]
    for word in dict.fromkeys([*_WORD.findall(text), *modules]):
        # Longer ones are no names of files, and systems refuse to look for them.
        if len(word) < 1024 and (other := file.parent / word).is_file():
            yield other
