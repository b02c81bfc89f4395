"""What is wrong in a recipe file, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from toolkit import registry
from toolkit.errors import RecipeInvalid


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        line: counted from 1.
        column: counted from 1.
        message: what is wrong.
        hint: what to write instead, or an empty string.
    """

    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.line}:{self.column}: {self.message}"
        # A file may hold characters that no terminal can show, lone surrogates for instance.
        shown = f"{text}. {self.hint}" if self.hint else text
        return shown.encode("utf-8", "backslashreplace").decode("utf-8")


class Problems(list[Problem]):
    """Problems of one file, in the order of their position when raised."""

    def add(self, at: tuple[int, int], message: str, hint: str = "") -> None:
        """Note a problem at (line, column)."""
        self.append(Problem(at[0], at[1], message, hint))

    def has(self, at: tuple[int, int]) -> bool:
        """Whether there is a problem at (line, column)."""
        return any((problem.line, problem.column) == at for problem in self)

    def raise_if_any(self, file: str) -> None:
        """Report everything at once.

        Raises:
            RecipeInvalid: there is at least one problem; its ``problems`` attribute has them all.
        """
        if self:
            raise InvalidRecipe(file, sorted(set(self)))


class InvalidRecipe(RecipeInvalid):
    """A RecipeInvalid that carries its problems as data.

    Attributes:
        problems: sorted by position.
    """

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {file}:{problem}" for problem in problems)
        super().__init__(f"{count} in the recipe{lines}", next_step="docs/recipes.md describes every field.")
        self.problems = tuple(problems)


def nearest_choice(word: str, choices: Iterable[str]) -> str:
    """A hint that names the nearest choice, and all of them when they are few."""
    known = list(choices)
    hint = registry.did_you_mean(word, known)
    return f"{hint}Available: {', '.join(known)}." if len(known) <= 30 else hint.strip()
