"""Conversions that are refused: what a user asks, why not, and following the advice."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from model_folders import write_folder

import toolkit
from toolkit.errors import CompressError, ToolkitError, UsageError
from toolkit.settings import Settings


class Asked:
    """A conversion of a folder, as a user asks for it and changes it."""

    def __init__(self, place: Path, settings: Settings) -> None:
        self.place, self.settings = place, settings
        self.folder = place / "model"
        self.output = place / "out" / "a"
        self.model = str(self.folder)
        self.options: dict[str, object] = {"quant": "fp32", "parity_check": False}
        self.force = False
        self.origin: dict[str, bytes] = {}

    def convert(self) -> None:
        toolkit.convert(self.model, self.output, force=self.force, settings=self.settings, **self.options)

    def damage(self, name: str, content: bytes) -> None:
        """Put something else in a file's place; :meth:`restore` gets it again."""
        path = self.folder / name
        self.origin[name] = path.read_bytes() if path.is_file() else b""
        path.write_bytes(content)

    def restore(self) -> None:
        for name, content in self.origin.items():
            (self.folder / name).write_bytes(content)

    def number(self, advice: str, option: str) -> int:
        """The number that is advised for an option."""
        found = re.search(rf"--{option} (\d+)", advice)
        assert found, advice
        return int(found[1])


@dataclass(frozen=True)
class Refusal:
    """One kind of refusal.

    Attributes:
        cause: asks for it.
        error: what is raised.
        follow: does what the next step says, given its text.
    """

    cause: Callable[[Asked], object]
    error: type[ToolkitError]
    follow: Callable[[Asked, str], object]


def option(**options: object) -> Callable[[Asked], object]:
    return lambda asked: asked.options.update(options)


def leave_out(word: str, *names: str) -> Callable[[Asked, str], object]:
    def follow(asked: Asked, advice: str) -> None:
        assert word in advice
        for name in names:
            del asked.options[name]

    return follow


def damaged(name: str, content: bytes) -> Callable[[Asked], object]:
    return lambda asked: asked.damage(name, content)


def get_again(word: str = "again") -> Callable[[Asked, str], object]:
    def follow(asked: Asked, advice: str) -> None:
        assert word in advice
        asked.restore()

    return follow


def first_name(pattern: str, name: str) -> Callable[[Asked, str], object]:
    """Takes the first value that is listed for an option."""

    def follow(asked: Asked, advice: str) -> None:
        found = re.search(pattern, advice)
        assert found, advice
        value = found[1]
        asked.options[name] = int(value) if value.isdigit() else value

    return follow


def follow_the_advice(refusal: Refusal, asked: Asked) -> None:
    """A conversion is refused and leaves nothing behind; once what it advises is done, it is accepted."""
    write_folder(asked.folder, asked.settings, "llama-tiny")
    refusal.cause(asked)
    before = sorted(asked.output.parent.glob("*"))
    with pytest.raises(refusal.error) as caught:
        asked.convert()
    assert sorted(asked.output.parent.glob("*")) == before, "something is left behind"
    error = caught.value
    assert error.what and error.next_step
    assert error.subject or "--" in error.what or isinstance(error, UsageError | CompressError)
    refusal.follow(asked, error.next_step)
    asked.convert()
